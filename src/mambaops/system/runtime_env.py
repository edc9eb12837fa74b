"""A profile's run-time variables as lines for a shell, e.g. `KMP_DUPLICATE_LIB_OK=TRUE`. Pure.

The lines are made to be evaluated: names are those that a profile may have, values are quoted for the very shell.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping

from mambaops.core.errors import UsageError
from mambaops.knowledge.text import wrong_variables


def lines(variables: Mapping[str, str], shell: str) -> str:
    """One line per variable, quoted for the shell.

    Raises:
        UsageError: a shell that we do not know, no name of a variable, or a value that it cannot quote.
    """
    writers: dict[str, Callable[[str, str], str]] = {
        "bash": lambda name, value: f"export {name}={shlex.quote(value)}",
        "zsh": lambda name, value: f"export {name}={shlex.quote(value)}",
        "fish": lambda name, value: f"set -gx {name} {_fish(value)}",
        "powershell": lambda name, value: f"$env:{name} = {_powershell(value)}",
        "cmd": lambda name, value: f'set "{name}={_cmd(name, value)}"',
    }
    if shell not in writers:
        raise UsageError(f"shell `{shell}` is not known; known: {', '.join(writers)}")
    for wrong in wrong_variables("variables", variables):
        raise UsageError(wrong)
    return "".join(writers[shell](name, value) + "\n" for name, value in variables.items())


def _fish(value: str) -> str:
    """Inside of fish's single quotes a backslash still escapes."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _powershell(value: str) -> str:
    """PowerShell takes typographic quotes for quotes; each is doubled."""
    return "'" + re.sub("(['‘’‚‛])", r"\1\1", value) + "'"


def _cmd(name: str, value: str) -> str:
    """cmd has no quoting for a quote, and replaces %NAME% everywhere.

    Raises:
        UsageError: the value holds one of them.
    """
    if found := re.search(r'["%\r\n]', value):
        raise UsageError(
            f"{name}: cmd cannot be given a value with {found[0]!r}", hint="--shell powershell can"
        )
    return value
