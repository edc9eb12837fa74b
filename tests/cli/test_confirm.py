"""Asking before something is deleted: on a real terminal, and where there is none."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

CODE = """
from mambaops.cli.confirm import confirm
from mambaops.core.errors import MambaopsError
try:
    confirm("delete the thesis", yes={yes})
    print("deleted")
except MambaopsError as error:
    print(type(error).__name__, error.exit_code, error.message, error.hint)
"""


def asked(answer: str, *, yes: bool = False) -> tuple[str, str]:
    """What is printed, and what the terminal shows, when somebody answers."""
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(yes=yes)],
        stdin=theirs,
        stderr=theirs,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    os.close(theirs)
    shown = os.read(ours, 4096).decode()
    os.close(ours)
    return done.stdout, shown


@pytest.mark.parametrize("answer", ["y\n", "Yes\n"])
def test_yes(answer: str) -> None:
    printed, shown = asked(answer)
    assert printed == "deleted\n"
    assert "delete the thesis? [y/N]" in shown


@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04", "perhaps\n"])
def test_anything_else_is_no(answer: str) -> None:
    assert asked(answer)[0] == "MambaopsError 1 nothing was done \n"


@pytest.mark.parametrize("stream", ["stdin", "stderr"])
def test_without_a_terminal_nobody_is_asked(stream: str) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, b"y\n")
    streams = {"stdin": theirs, "stderr": theirs, stream: subprocess.DEVNULL}
    argv = [sys.executable, "-c", CODE.format(yes=False)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, **streams)  # type: ignore[call-overload]
    os.close(theirs)
    os.close(ours)
    assert done.stdout.startswith("UsageError 2 delete the thesis: nobody can be asked here")
    assert "`--yes`" in done.stdout


def test_yes_for_scripts() -> None:
    argv = [sys.executable, "-c", CODE.format(yes=True)]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    assert (done.stdout, done.stderr) == ("deleted\n", "")
