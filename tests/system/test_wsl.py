"""Words for WSL, with a wsl.exe that prints what the real one prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from standins import command, program

from mambaops.core.errors import UsageError
from mambaops.system import wsl


def _wsl(folder: Path, names: str = "Ubuntu-22.04\\r\\ndocker-desktop\\r\\n") -> None:
    """A wsl.exe: its list in UTF-16 as on Windows; other words are run as it would run them."""
    listed = f"printf '{names}' | iconv -t UTF-16LE"
    run = 'while [ "$1" != "--" ]; do echo "wsl: $1"; shift; done; shift; exec "$@"'
    program(folder, "wsl.exe", f'if [ "$1" = --list ]; then {listed}; exit 0; fi\n{run}')


def test_the_command_line_keeps_every_word() -> None:
    words = wsl.command(["echo", "a b", "$HOME"], distribution="Debian", folder="D:\\mamba")
    assert words[:7] == ["wsl.exe", "-d", "Debian", "--cd", "D:\\mamba", "--", "bash"]
    assert words[7:] == ["-lc", "echo 'a b' '$HOME'"]
    with pytest.raises(UsageError):
        wsl.command([])


def test_words_arrive_in_wsl_as_they_were_and_the_status_comes_back(tmp_path: Path) -> None:
    _wsl(tmp_path)
    words = ["sh", "-c", 'printf "%s|" "$@"; exit 7', "x", "a b", "$HOME", "it's"]
    done = command(tmp_path, "wsl-run", "--distribution", "Ubuntu-22.04", "--", *words)
    assert done.stdout.splitlines()[:2] == ["wsl: -d", "wsl: Ubuntu-22.04"]
    assert done.stdout.splitlines()[2] == "a b|$HOME|it's|"
    assert done.returncode == 7


def test_a_distribution_that_is_not_there_is_said_with_those_that_are(tmp_path: Path) -> None:
    _wsl(tmp_path)
    done = command(tmp_path, "wsl-run", "--distribution", "Debian", "--", "true")
    assert done.returncode == 4
    assert "it has Ubuntu-22.04, docker-desktop" in done.stderr


def test_outside_of_windows_it_says_what_to_do(tmp_path: Path) -> None:
    done = command(tmp_path, "wsl-run", "--", "true")
    assert done.returncode == 4
    assert "run the command itself" in done.stderr
