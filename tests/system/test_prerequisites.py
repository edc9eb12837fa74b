"""What the system's packages lack, with stand-ins for dpkg and apt."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from standins import command, program

from mambaops.system import prerequisites

DPKG = "g++ installed\ngcc installed\nkmod config-files\nlibxml2-16 installed\n"


def test_what_dpkg_calls_installed_is_not_missing() -> None:
    assert prerequisites.parse_dpkg(DPKG) == {"g++", "gcc", "libxml2-16"}
    missing = prerequisites.missing_of(prerequisites.parse_dpkg(DPKG))
    assert [one.name for one in missing] == ["kmod", "build-essential", "python3-dev"]
    assert prerequisites.commands([]) == []


def test_the_missing_packages_are_named_with_the_command_and_not_installed(tmp_path: Path) -> None:
    program(tmp_path, "dpkg-query", f"printf '{DPKG}'; exit 1")
    program(tmp_path, "apt-get", f'echo "$@" >> {tmp_path}/asked')
    done = command(tmp_path, "apt-prerequisites", "--check")
    assert done.returncode == 1
    assert "missing: kmod" in done.stdout
    assert "apt-get install -y kmod build-essential python3-dev" in done.stderr
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize("words", [(), ("--json",), ("--check", "--sudo")])
def test_nothing_is_installed_unasked(tmp_path: Path, words: tuple[str, ...]) -> None:
    program(tmp_path, "dpkg-query", f"printf '{DPKG}'; exit 1")
    for name in ("apt-get", "sudo"):
        program(tmp_path, name, f'echo "$@" >> {tmp_path}/asked')
    done = command(tmp_path, "apt-prerequisites", *words)
    assert done.returncode == 1
    assert "apt-get install -y kmod build-essential python3-dev" in done.stderr
    assert not (tmp_path / "asked").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="installs as root, with a stand-in apt-get")
@pytest.mark.parametrize("allowed", ["--sudo", "--yes"])
def test_as_root_they_are_installed_and_looked_at_again(tmp_path: Path, allowed: str) -> None:
    program(tmp_path, "dpkg-query", f"cat {tmp_path}/dpkg; exit 1")
    (tmp_path / "dpkg").write_text(DPKG)
    names = "kmod build-essential python3-dev"
    add = f'for one in {names}; do echo "$one installed" >> {tmp_path}/dpkg; done'
    program(tmp_path, "apt-get", f'echo "$@" >> {tmp_path}/asked; [ "$1" = update ] || {add}')
    done = command(tmp_path, "apt-prerequisites", allowed)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "asked").read_text() == f"update\ninstall -y {names}\n"


def test_a_system_without_dpkg_gets_the_names_for_rpm(tmp_path: Path) -> None:
    program(tmp_path, "true", "")
    done = command(tmp_path, "apt-prerequisites", alone=True)
    assert done.returncode == 4
    assert "dnf install gcc gcc-c++" in done.stderr
