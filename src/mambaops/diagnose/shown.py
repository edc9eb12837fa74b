"""A diagnosis for reading: the cause in the first line, what to do in the second, the reasons below."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator

from mambaops.diagnose.match import Diagnosis, Finding


def as_text(
    diagnosis: Diagnosis,
    source: str = "the log",
    *,
    everything: bool = False,
    paste: Callable[[str], str] = str,
) -> str:
    """The diagnosis for a terminal.

    Args:
        everything: also the lines that people blame and that are harmless, and what follows from a cause.
        paste: makes the commands work that are told where nothing is recognised.
    """
    causes = [found for found in diagnosis.findings if not found.benign]
    head = _head(diagnosis, causes, source, everything)
    known = diagnosis.verdict == "failed" and causes  # its commands come with the finding
    blocks = ["\n".join(line if known or line[:3] != "do:" else paste(line) for line in head)]
    blocks += ["\n".join(_block("also", found, everything)) for found in causes[1:]]
    if _error_comes_first(diagnosis, causes):
        blocks.append(
            f"the first error line of the log is another: {diagnosis.first_error_line_number}: "
            f"{diagnosis.first_error}"
        )
    if everything:
        harmless = [found for found in diagnosis.findings if found.benign]
        blocks += ["\n".join(_block("harmless", found, everything)) for found in harmless]
    return "\n\n".join(blocks)


def _head(
    diagnosis: Diagnosis, causes: list[Finding], source: str, everything: bool
) -> Iterator[str]:
    if diagnosis.verdict == "failed" and causes:
        yield from _block("failed", causes[0], everything)
    elif diagnosis.verdict == "failed":
        yield from _unknown(diagnosis, source)
    elif diagnosis.verdict == "cannot-tell":
        yield from _undecided(diagnosis, causes, source, everything)
    else:
        yield from _well(diagnosis, causes, source)
    yield from (f"  note: {note}" for note in diagnosis.notes)


def _well(diagnosis: Diagnosis, causes: list[Finding], source: str) -> Iterator[str]:
    shown = diagnosis.evidence or f"exit code {diagnosis.exit_code}"
    yield f"{diagnosis.verdict}: {source}, {diagnosis.lines} lines: {shown}"
    if diagnosis.verdict == "succeeded":
        return
    yield "do: nothing; what had failed on the way did not stay so"
    for found in causes:
        yield f"  line {found.line_number}: {found.title} [{found.rule}]"
    if not causes and diagnosis.first_error:
        yield f"  line {diagnosis.first_error_line_number}: {diagnosis.first_error}"


def _undecided(
    diagnosis: Diagnosis, causes: list[Finding], source: str, everything: bool
) -> Iterator[str]:
    what = "no line that reports an error" if diagnosis.first_error is None else "errors"
    yield f"cannot tell: {what} in the {diagnosis.lines} lines of {source}, and none that shows that it ended well"
    yield (
        "do: give the whole log, or what the command ended with (`echo $?` after it), "
        f"e.g. `mambaops diagnose --log {'-' if source == 'stdin' else shlex.quote(source)} --exit-code 1`"
    )
    if diagnosis.first_error is not None and not causes:
        yield f"  line {diagnosis.first_error_line_number}: {diagnosis.first_error}"
    for found in causes:
        yield from ("", *_block("perhaps", found, everything))


def _unknown(diagnosis: Diagnosis, source: str) -> Iterator[str]:
    if diagnosis.first_error is None:
        ended = diagnosis.evidence or f"exit code {diagnosis.exit_code}"
        yield f"failed: the reason is not in {source} ({diagnosis.lines} lines; {ended})"
        yield "do: run it again with all its output in the log, e.g. `pip install -v mamba-ssm 2>&1 | tee build.log`"
        return
    yield f"failed: not recognised: {diagnosis.first_error}"
    yield (
        f"do: begin at line {diagnosis.first_error_line_number}, the first that reports an error "
        f"among the {diagnosis.lines} of {source}; what stands below it follows from it"
    )


def _error_comes_first(diagnosis: Diagnosis, causes: list[Finding]) -> bool:
    number = diagnosis.first_error_line_number
    first = min((found.line_number for found in causes), default=0)
    return diagnosis.failed and number is not None and number < first - 3


def _block(head: str, found: Finding, everything: bool) -> Iterator[str]:
    yield f"{head}: {found.title} [{found.rule}]"
    for number, fix in enumerate(() if found.benign else found.fixes):
        yield f"{'do: ' if number == 0 else '    '}{fix}"
    yield f"  line {found.line_number}: {found.line}"
    yield f"  why: {found.cause}"
    yield from (f"  here: {text}" for text in found.here)
    if found.versions:
        yield f"  versions: {found.versions}"
    yield from (f"  does not help: {text}" for text in found.does_not_help)
    if everything:
        others = [one for one in found.consequences if one.line_number != found.line_number]
        yield from (f"  follows from it: line {one.line_number}: {one.line}" for one in others)
    yield from (f"  see {link}" for link in found.sources[:2])
