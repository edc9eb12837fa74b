"""Carrying out a command, whichever door it came in by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mambaops.cli.command import Command, Context
from mambaops.cli.mirrors import use_mirrors
from mambaops.cli.output import WANTED, say
from mambaops.core import process


def carry_out(command: Command, context: Context, values: Mapping[str, Any]) -> int:
    """The exit status of a command with these values of its parameters.

    Raises:
        MambaopsError: it failed.
    """
    use_mirrors()
    if WANTED.verbose:
        process.announce(lambda line: say(f"$ {line}"))
    status = command.body(context, **values)
    return status if isinstance(status, int) else 0
