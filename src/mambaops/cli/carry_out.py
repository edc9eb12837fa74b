"""Carrying out a command, whichever door it came in by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mambaops.cli.call import remember
from mambaops.cli.command import Command, Context
from mambaops.cli.mirrors import use_mirrors
from mambaops.cli.output import WANTED, say
from mambaops.core import process, trees
from mambaops.core.errors import UsageError
from mambaops.core.signals import ending_on_signals


def carry_out(
    command: Command, context: Context, values: Mapping[str, Any], *, dry: bool = False
) -> int:
    """The exit status of a command with these values of its parameters; a signal ends what it has started.

    Args:
        dry: only show what would be done.

    Raises:
        MambaopsError: it failed. KeyboardInterrupt: a signal came; nothing that was started runs any more.
    """
    with ending_on_signals(process.end_all, trees.hurry.set):
        try:
            return _shown(command, values) if dry else _done(command, context, values)
        except KeyboardInterrupt:
            process.end_all()
            raise


def _shown(command: Command, values: Mapping[str, Any]) -> int:
    """Raises:
    UsageError: the command cannot show what it would do.
    """
    if command.shows is None:
        raise UsageError(
            "--dry is not for this command, and nothing was done",
            hint="`mambaops --dry build-mamba` and `mambaops --dry STEP` show the plan; "
            "`--help` of the command tells whether it has a --dry-run, --check or --diff of its own",
        )
    from mambaops.core.kept import nothing_kept

    with nothing_kept():
        command.shows(values)
    return 0


def _done(command: Command, context: Context, values: Mapping[str, Any]) -> int:
    remember(values)
    use_mirrors()
    if WANTED.verbose:
        process.announce(lambda line: say(f"$ {line}"))
    status = command.body(context, **values)
    return status if isinstance(status, int) else 0
