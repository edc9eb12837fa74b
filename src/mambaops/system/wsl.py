"""From Windows into WSL: the command line that runs something there, and which distributions there are."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from mambaops.core.errors import MachineError, UsageError
from mambaops.core.process import Completed, run, which


def command(words: Sequence[str], *, distribution: str = "", folder: str = "") -> list[str]:
    """`wsl.exe -d DISTRO --cd FOLDER -- bash -lc '…'`. Pure.

    A login shell, so that conda and CUDA's lines of the start-up files count; the words are quoted for
    it. `folder` may be a Windows path: wsl.exe translates it.
    """
    if not words:
        raise UsageError("no command was given", hint="`mambaops wsl-run -- nvidia-smi`")
    return [
        "wsl.exe",
        *(["-d", distribution] if distribution else []),
        *(["--cd", folder] if folder else []),
        "--",
        "bash",
        "-lc",
        shlex.join(words),
    ]


def parse_distributions(text: str) -> list[str]:
    """Names from `wsl.exe --list --quiet`, which writes UTF-16: zero bytes are left in the text."""
    return [
        name for line in text.replace("\0", "").splitlines() if (name := line.strip("\ufeff� \t\r"))
    ]


def distributions() -> list[str]:
    """The installed distributions, the default one first.

    Raises:
        MachineError: there is no wsl.exe.
    """
    if which("wsl.exe") is None:
        raise MachineError(
            "wsl.exe is not on PATH: this command is for Windows",
            hint="inside WSL or on Linux run the command itself; on Windows: wsl --install",
        )
    return parse_distributions(
        run(["wsl.exe", "--list", "--quiet"], check=False, timeout=60).stdout
    )


def run_in_wsl(
    words: Sequence[str],
    *,
    distribution: str = "",
    folder: str = "",
    say: Callable[[str], None],
) -> Completed:
    """Run a command in WSL, its output as it comes; its own status is in what comes back.

    Raises:
        MachineError: no wsl.exe, or no such distribution.
        UsageError: no command.
    """
    argv = command(words, distribution=distribution, folder=folder)
    known = distributions()
    if not known or (distribution and distribution not in known):
        raise MachineError(
            f"WSL has no distribution {distribution}".strip()
            + (f"; it has {', '.join(known)}" if known else ": none is installed"),
            hint="wsl --install -d Ubuntu-22.04",
        )
    return run(argv, check=False, on_line=say, merge=True)
