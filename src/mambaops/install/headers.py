"""Python.h into an environment without root: from the distribution's package, else from uv's Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mambaops.core.errors import MachineError, MambaopsError
from mambaops.decide.headers import apt_package, by_hand
from mambaops.facts.model import Facts
from mambaops.knowledge.tables import minor_of
from mambaops.system.python_headers import from_apt, from_uv


def install_headers(target: Facts, env: Path, *, log: Path, say: Callable[[str], None]) -> Path:
    """Get the headers by the first way that is open; returns their folder, below `env`.

    Args:
        target: of the machine and of the environment's Python.

    Raises:
        MachineError: none is; the hint says what root would do.
    """
    python = target.python
    minor, package = minor_of(python.version), apt_package(target, python)
    refused: list[str] = []
    if package is not None:
        try:
            return from_apt(package, minor, env, log=log)
        except MambaopsError as error:
            refused.append(f"apt: {_last(error)}")
            say(f"{package} could not be had ({_last(error)}); trying uv's Python {minor}")
    try:
        return from_uv(minor, env, log=log)
    except MambaopsError as error:
        refused.append(f"uv: {_last(error)}")
        raise MachineError(
            f"Python.h of {python.executable} is missing and could not be had ({'; '.join(refused)})",
            hint=by_hand(target, python),
        ) from error


def _last(error: MambaopsError) -> str:
    return error.message.strip().splitlines()[-1]
