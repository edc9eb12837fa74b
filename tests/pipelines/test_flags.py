"""Every option of the main job behind `nox -s PROFILE --` reaches the steps that know it, and changes what they do."""

from __future__ import annotations

from collections.abc import Callable

import mini
import pytest
from stand_in_machine import Machine, pythons

from mambaops.cli import collection
from mambaops.compile.wheel import extensions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
OPTIONS = {
    "--arch": "8.0;12.0",
    "--torch": "2.10.0",
    "--python": "3.12",
    "--obtain": "source",
    "--jobs": "1",
}


def test_each_option_does_what_it_says(make_machine: Callable[..., Machine]) -> None:
    if "3.12" not in pythons():
        pytest.skip("no Python 3.12 is on this system")
    machine = make_machine("wsl-5090-ready")
    machine.offer("wsl-5090")
    machine.with_python("3.12")
    own = mini.make_own(machine.folder / "trees" / "own")
    tree = mini.make("mamba-ssm", "2.3.2.post1", machine.folder / "trees" / "theirs")
    flags = [word for pair in OPTIONS.items() for word in pair]
    flags += ["--source", f"mamba-ssm={tree}", "--source", f"splines={own.parent}"]
    flags += ["--add", str(own), "--cross", "--sudo"]
    # a new option has to be shown here as well
    names = [flag for one in collection()["build-mamba"].get_arguments() for flag in one.names]
    known = {name for name in names if len(name) > 1}
    assert {word.lstrip("-") for word in flags if word.startswith("--")} | {"profile"} == known
    done = machine.nox("wsl-5090", *flags)
    assert done.returncode == 0, done.said[-5000:]
    there = machine.installed("wsl-5090")
    assert there["torch"] == "2.10.0+cu128" or there["torch"] == "2.10.0"
    assert "+cu128torch2.10.sm80sm120.x" in there["mamba-ssm"]
    assert there["splines"].startswith("1.0+cu128torch2.10.sm80sm120")
    assert {found.cubins for wheel in machine.wheels() for found in extensions(wheel).values()} == {
        ("8.0", "12.0")
    }
    assert all("-cp312-" in wheel.name for wheel in machine.wheels())
    assert "with 1 compilers at once" in done.said
    asked = machine.asked("GET")
    assert not [line for line in asked if "/astral/" in line or "/releases/" in line]
    assert not [line for line in asked if "mamba-ssm/" in line], "the user's own source was named"


def test_one_for_another_machine_stops_before_anything(
    make_machine: Callable[..., Machine],
) -> None:
    machine = make_machine("hopper")
    machine.offer("wsl-5090")
    stopped = machine.nox("wsl-5090", "--arch", "12.0")
    assert stopped.returncode == 4
    assert "it is not WSL" in stopped.said and "not one of compute capability 12.0" in stopped.said
    assert machine.asked("GET", "conda", "apt-get") == []
    assert not machine.python("wsl-5090").exists()
