"""Asking before something of the person's is deleted or replaced: one question, one `--yes` for scripts."""

from __future__ import annotations

import sys

from mambaops.cli.task import say
from mambaops.core.errors import MambaopsError, UsageError

HELP = "do not ask"


def confirm(question: str, *, yes: bool) -> None:
    """Ask on the terminal, unless `yes` was given; return where the answer is y or yes.

    Args:
        question: what will be done, to what, as a whole sentence without its question mark.

    Raises:
        UsageError: nobody can be asked, and `--yes` was not given. MambaopsError: the answer is no.
    """
    if yes:
        return
    # a question that is not seen, or whose answer comes out of a pipe, is none
    if not (_is_terminal(sys.stdin) and _is_terminal(sys.stderr)):
        raise UsageError(
            f"{question}: nobody can be asked here, and nothing was done",
            hint="give `--yes` where that is meant",
        )
    if not asked(question):
        say("")
        raise MambaopsError("nothing was done")


def asked(question: str) -> bool:
    """Is the answer y or yes? No where nobody can be asked."""
    if not (_is_terminal(sys.stdin) and _is_terminal(sys.stderr)):
        return False
    print(f"{question}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _is_terminal(stream: object) -> bool:
    """False also for a stream that was closed or taken away."""
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]
    except (AttributeError, ValueError):
        return False
