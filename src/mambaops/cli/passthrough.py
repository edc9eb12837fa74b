"""Words between a task and the program that it hands them to."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping

from mambaops.cli import output
from mambaops.cli.command import Context, Words


def flags(values: Mapping[str, str | bool]) -> list[str]:
    """`--flag value` for every text that is not empty, `--flag` for every True."""
    words: list[str] = []
    for flag, value in values.items():
        if value is True:
            words.append(flag)
        elif value:
            words += [flag, str(value)]
    return words


def document() -> str:
    """The command whose outcome the program prints as one JSON document; "" where nobody asked for that."""
    return output.WANTED.command if output.WANTED.json else ""


def remainder(c: Context) -> list[str]:
    """The words of another program, one by one.

    Invoke joins them with spaces, which loses the quoting: the command line itself still has it.
    """
    if isinstance(c, Words):
        return c.words
    if "--" in sys.argv:
        return sys.argv[sys.argv.index("--") + 1 :]
    return shlex.split(c.remainder)
