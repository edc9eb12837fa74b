"""A profile's run-time variables as lines for a shell, e.g. `KMP_DUPLICATE_LIB_OK=TRUE`. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

from mambaops.core.errors import UsageError


def lines(variables: Mapping[str, str], shell: str) -> str:
    """One line per variable, quoted for the shell.

    Raises:
        UsageError: a shell that we do not know.
    """
    writers: dict[str, Callable[[str, str], str]] = {
        "bash": lambda name, value: f"export {name}={shlex.quote(value)}",
        "zsh": lambda name, value: f"export {name}={shlex.quote(value)}",
        "fish": lambda name, value: f"set -gx {name} {shlex.quote(value)}",
        "powershell": lambda name, value: "$env:" + name + " = '" + value.replace("'", "''") + "'",
        "cmd": lambda name, value: f'set "{name}={value}"',
    }
    if shell not in writers:
        raise UsageError(f"shell `{shell}` is not known; known: {', '.join(writers)}")
    return "".join(writers[shell](name, value) + "\n" for name, value in variables.items())
