"""Running commands that change the system: as root or through a sudo that asks nothing, never unasked."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from mambaops.core.errors import MachineError
from mambaops.core.process import run, which


def pasted(commands: Sequence[Sequence[str]], *, as_root: bool) -> str:
    """The commands as lines to paste, with sudo where they need root and we are not root."""
    front = "sudo " if as_root and os.geteuid() != 0 else ""
    return "\n".join(f"  {front}{shlex.join(command)}" for command in commands)


def root_prefix(commands: Sequence[Sequence[str]], *, sudo: bool) -> list[str]:
    """What to put before each command so that it runs as root: nothing, or `sudo -n`.

    Raises:
        MachineError: it was not allowed (root too has to be asked), or sudo is missing or wants a
            password; the hint holds the commands.
    """
    by_hand = "run them yourself:\n" + pasted(commands, as_root=True)
    if not sudo:
        raise MachineError(
            "these commands change the system as root, and --sudo was not given",
            hint=f"give --sudo, or {by_hand}",
        )
    if os.geteuid() == 0:
        return []
    if which("sudo") is None:
        raise MachineError("these commands need root, and there is no sudo", hint=by_hand)
    # our processes have no terminal (their groups are ended on a time-out), so sudo cannot ask there
    if not run(["sudo", "-n", "true"], check=False, timeout=10).ok:
        raise MachineError("sudo wants a password, which it cannot ask for here", hint=by_hand)
    return ["sudo", "-n"]


def run_all(
    commands: Sequence[Sequence[str]],
    *,
    needs_root: bool,
    sudo: bool,
    say: Callable[[str], None],
    log: Path | None = None,
) -> None:
    """Run the commands one after the other, each said before it starts.

    Raises:
        MachineError: they need root and it was not allowed.
        CommandFailed: one of them failed; those after it were not run.
    """
    front = root_prefix(commands, sudo=sudo) if needs_root else []
    for command in commands:
        argv = [*front, *command]
        say(f"$ {shlex.join(argv)}")
        run(argv, log=log, on_line=say, merge=True)
