"""What `mambaops diagnose` does besides matching: find the log, the facts, and a place for the report."""

from __future__ import annotations

import os
import shlex
import stat
import sys
import time
from pathlib import Path
from typing import TextIO

from mambaops.core.errors import UsageError
from mambaops.core.files import regular
from mambaops.core.outputs import file_to_write
from mambaops.diagnose.explain import Explanation, explain
from mambaops.diagnose.reading import log_of, log_of_stream
from mambaops.diagnose.verdict import Verdict
from mambaops.facts import model
from mambaops.facts.model import Facts

STATUS: dict[Verdict, int] = {"succeeded": 0, "recovered": 0, "failed": 1, "cannot-tell": 3}


def exit_code(given: str) -> int | None:
    """What `--exit-code` tells; None when it was not given.

    Raises:
        UsageError: it is no number.
    """
    if not given:
        return None
    try:
        return int(given)
    except ValueError:
        raise UsageError(
            f"--exit-code `{given}` is no number", hint="what `echo $?` prints after the command"
        ) from None


def facts_for(file: str, *, here: bool) -> Facts | None:
    """The facts of the machine that wrote the log: from a file, of this machine, or unknown."""
    if file:
        return model.load(Path(file))
    if not here:
        return None
    from mambaops.facts.collect import collect

    return collect()


def log_path(given: str, stdin: TextIO | None = None) -> Path | None:
    """The log to read; None is stdin: what is piped in comes before any file that was not named.

    Args:
        stdin: default: our own.

    Raises:
        UsageError: no log was given, nothing is piped in and no run has left one.
    """
    if given:
        return None if given == "-" else Path(given)
    if is_piped(stdin or sys.stdin):
        return None
    newest = _newest_log()
    if newest is None:
        raise UsageError(
            "no log to read", hint="`mambaops diagnose --log build.log`, or pipe it in"
        )
    return newest


def is_piped(stdin: TextIO | None) -> bool:
    """Whether something is handed over: a pipe or a file, not a terminal, not /dev/null, not closed."""
    try:
        mode = os.fstat(stdin.fileno()).st_mode if stdin else 0
    except (OSError, ValueError):  # closed, or not a file at all
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def _newest_log() -> Path | None:
    from mambaops.core.paths import state_dir

    logs = list((state_dir() / "runs").glob("*/**/*.log"))
    return max(logs, key=lambda path: path.stat().st_mtime, default=None)


def explained(
    path: Path | None, facts: Facts | None, exit_code: int | None, *, here: bool = False
) -> Explanation:
    """Read the file, or stdin when there is none.

    Raises:
        UsageError: the file cannot be read, or nothing came through the pipe.
    """
    log = log_of(path) if path else log_of_stream()
    found = explain(log, facts, exit_code=exit_code, here=here)
    if path is None and found.diagnosis.lines == 0 and exit_code is None:
        newest = _newest_log()
        last = (
            f"the last run's: `mambaops diagnose --log {shlex.quote(str(newest))}`"
            if newest
            else ""
        )
        raise UsageError(
            "nothing came through the pipe",
            hint=last or "name a log: `mambaops diagnose --log build.log`",
        )
    return found


def is_report(path: Path) -> bool:
    """Was it written by `write_report`?"""
    return path.read_bytes().startswith(b"## mambaops\n")


def report(
    found: Explanation, facts: Facts | None, *, log: Path | None, plan: str, target: str
) -> Path:
    """Write the report to hand to somebody.

    Args:
        target: the file; "" for one among our own.

    Raises:
        UsageError: the file is there and is no report of ours.
    """
    from mambaops.core.paths import state_dir
    from mambaops.diagnose.report import write_report

    own = state_dir() / "reports" / f"{time.strftime('%Y%m%d-%H%M%S')}.md"
    path = file_to_write(Path(target), ours=is_report) if target else own
    text = regular(Path(plan)).read_text(encoding="utf-8") if plan else ""
    return write_report(path, found, facts=facts, plan=text, log=log)
