"""What `mambaops diagnose` does besides matching: find the log, the facts, and a place for the report."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from mambaops.core.errors import UsageError
from mambaops.core.files import regular
from mambaops.core.outputs import file_to_write
from mambaops.diagnose.explain import Explanation, explain_log, explain_stdin
from mambaops.facts import model
from mambaops.facts.model import Facts


def facts_for(file: str, *, here: bool) -> Facts | None:
    """The facts of the machine that wrote the log: from a file, of this machine, or unknown."""
    if file:
        return model.load(Path(file))
    if not here:
        return None
    from mambaops.facts.collect import collect

    return collect()


def log_path(given: str) -> Path | None:
    """The log to read; None is stdin.

    Raises:
        UsageError: no log was given, nothing is piped in and no run has left one.
    """
    if given == "-" or (not given and not sys.stdin.isatty() and not _newest_log()):
        return None
    if given:
        return Path(given)
    newest = _newest_log()
    if newest is None:
        raise UsageError("no log to read", hint="mambaops diagnose --log FILE   (or - for stdin)")
    return newest


def _newest_log() -> Path | None:
    from mambaops.core.paths import state_dir

    logs = list((state_dir() / "runs").glob("*/**/*.log"))
    return max(logs, key=lambda path: path.stat().st_mtime, default=None)


def explain(path: Path | None, facts: Facts | None) -> Explanation:
    """Read the file, or stdin when there is none."""
    return explain_stdin(facts) if path is None else explain_log(path, facts)


def is_report(path: Path) -> bool:
    """Was it written by `write_report`?"""
    return path.read_bytes().startswith(b"## mambaops\n")


def report(
    found: Explanation, facts: Facts | None, *, log: Path | None, plan: str, target: Path | None
) -> Path | None:
    """Write the report where it was asked for; for an unknown failure also unasked, among our own files."""
    from mambaops.core.paths import state_dir
    from mambaops.diagnose.report import write_report

    unknown = found.diagnosis.failed and not found.recognised
    if target is None and not unknown:
        return None
    if target is None:
        target = state_dir() / "reports" / f"{time.strftime('%Y%m%d-%H%M%S')}.md"
    else:
        target = file_to_write(target, ours=is_report)
    text = regular(Path(plan)).read_text(encoding="utf-8") if plan else ""
    return write_report(target, found, facts=facts, plan=text, log=log)
