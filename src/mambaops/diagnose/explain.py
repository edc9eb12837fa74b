"""A log file (or stdin) to an explanation that can be printed: what a failing step says about itself."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import msgspec

from mambaops.diagnose.match import Diagnosis, Finding, Look, examine
from mambaops.diagnose.named_file import look, told
from mambaops.diagnose.reading import Log, log_of
from mambaops.diagnose.shown import as_text
from mambaops.facts.model import Facts
from mambaops.state.remedies import tried


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A log and what it says."""

    source: str
    diagnosis: Diagnosis

    @property
    def recognised(self) -> bool:
        return self.diagnosis.recognised

    def text(self, *, everything: bool = False, paste: Callable[[str], str] = str) -> str:
        """For a terminal: the cause, what to do, its line, what does not help.

        Args:
            paste: makes the commands of a text work for this person, where the findings' are so already.
        """
        return as_text(self.diagnosis, self.source, everything=everything, paste=paste)


def explain_log(
    path: Path,
    facts: Facts | None = None,
    *,
    exit_code: int | None = None,
    here: bool = False,
) -> Explanation:
    """Read a log file of any size and say what failed.

    Args:
        here: the log is of this machine, whose facts are given: what it names may be looked at.

    Raises:
        UsageError: the file cannot be read.
    """
    return explain(log_of(path), facts, exit_code=exit_code, here=here)


def explain(
    log: Log, facts: Facts | None = None, *, exit_code: int | None = None, here: bool = False
) -> Explanation:
    """The same for a log from anywhere."""
    if here and facts is not None:
        # a rule and the lines below it look at the same file
        looked = functools.cache(functools.partial(look, facts=facts))
        found = examine(log.pieces(), facts, exit_code=exit_code, look=looked)
        found = _with_what_is_here(found, facts, looked)
    else:
        found = examine(log.pieces(), facts, exit_code=exit_code)
    notes = [note for note in log.notes if found.verdict == "cannot-tell" or "line" not in note]
    return Explanation(source=log.name, diagnosis=msgspec.structs.replace(found, notes=notes))


def _with_what_is_here(found: Diagnosis, facts: Facts, looked: Look) -> Diagnosis:
    """What the compiled files say that the findings name, and what helped before."""
    findings = [one if one.benign else _with_here(one, facts, looked) for one in found.findings]
    return msgspec.structs.replace(found, findings=findings)


def _with_here(finding: Finding, facts: Facts, looked: Look) -> Finding:
    file = looked(finding.line)
    seen = [] if file is None else told(file, facts)
    before = map(str, tried(finding.rule)[-1:])
    return msgspec.structs.replace(finding, here=[*seen, *before])
