"""What an environment was made for is kept with it, as a whole file, and read by the next command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from recorded import facts_of
from small_steps import Workshop

from mambaops.decide.case import Case
from mambaops.decide.memory import Made, after
from mambaops.decide.situation import Flags
from mambaops.profiles.load import load_profile
from mambaops.run.runner import Run
from mambaops.state.memory import read_made
from mambaops.state.places import places
from mambaops.steps.context import Context


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path / "home"))
    return Workshop(tmp_path / "shop")


said: list[str] = []


def run_of(shop: Workshop, *names: str, arch: str = "") -> Run:
    """Steps of these names, each of which sees to it that there is a folder of the environment."""

    def act(context: Context, case: Case) -> None:
        context.where.env.mkdir(parents=True, exist_ok=True)

    steps = [shop.touch(name, act, after=names[:place]) for place, name in enumerate(names)]
    run = Run(load_profile("local"), Flags(arch=arch), said.append, steps=steps)
    run.machine = facts_of("no-gpu")
    return run


def made() -> Made | None:
    return read_made(places("local"))


def test_steps_that_change_the_environment_are_remembered(shop: Workshop) -> None:
    run_of(shop, "create-venv", arch="9.0").all()
    assert made() == Made(profile="local", archs=("9.0",), asked=True)
    run_of(shop, "install-torch", arch="9.0").all()
    known = made()
    assert known is not None
    assert (known.archs, known.torch, known.torch_cuda) == (("9.0",), "2.14.1", "13.0")


def test_a_wheel_for_somebody_else_changes_nothing(shop: Workshop) -> None:
    run_of(shop, "create-venv", arch="9.0").all()
    run_of(shop, "build-wheel", "patch-setup", arch="8.0").all()
    assert made() == Made(profile="local", archs=("9.0",), asked=True)


def test_other_kernels_are_remembered_once_they_are_installed(shop: Workshop) -> None:
    run_of(shop, "create-venv", "install-torch", arch="9.0").all()
    run_of(shop, "install-wheels", arch="8.0").all()
    known = made()
    assert known is not None
    assert (known.archs, known.asked, known.torch) == (("8.0",), True, "2.14.1")


def test_what_was_not_asked_for_is_remembered_as_such(shop: Workshop) -> None:
    run = run_of(shop, "create-venv", "install-wheels")
    run.machine = facts_of("hopper")
    run.all()
    assert made() == Made(profile="local", archs=("9.0",), asked=False)


@pytest.mark.parametrize("text", ["", "{", '{"archs": 3}', "[]", "\x00"])
def test_a_broken_memory_is_none(shop: Workshop, text: str) -> None:
    where = places("local")
    where.env.mkdir(parents=True)
    where.made.write_text(text)
    assert made() is None
    run_of(shop, "install-torch", arch="9.0").all()
    assert json.loads(where.made.read_text())["archs"] == ["9.0"]


@pytest.mark.parametrize("step", ["install-kernels", "install-wheels"])
def test_what_was_installed_is_remembered(step: str) -> None:
    wanted = Made(profile="local", archs=("9.0",), torch="2.14.1", torch_cuda="13.0")
    before = Made(profile="local", archs=("8.0",), asked=True)
    assert after(step, before, wanted, "9.0") == Made(profile="local", archs=("9.0",), asked=True)


def test_what_installs_no_kernels_changes_no_memory() -> None:
    wanted = Made(profile="local", archs=("9.0",))
    assert after("fetch-sources", Made(profile="local", archs=("8.0",)), wanted, "9.0") is None


@pytest.mark.parametrize(
    ("step", "before", "archs", "flag", "result"),
    [
        # somebody named them when the environment was made: so they are named still, but no others
        ("create-venv", (("9.0",), True), ("9.0",), "", (("9.0",), True)),
        ("create-venv", (("9.0",), True), ("8.0",), "", (("8.0",), False)),
        ("create-venv", (("9.0",), False), ("9.0",), "", (("9.0",), False)),
        # torch is for what the environment was made for
        ("install-torch", (("9.0",), True), ("8.0",), "", (("9.0",), True)),
        ("install-torch", (("9.0",), False), ("9.0",), "", (("9.0",), False)),
        ("install-torch", (("9.0",), False), ("9.0",), "9.0", (("9.0",), True)),
        ("install-torch", (("9.0",), False), ("8.0",), "8.0", (("9.0",), False)),
        ("install-torch", ((), False), ("8.0",), "8.0", (("8.0",), True)),
        # without a GPU there are no kernels to remember
        ("install-wheels", (("9.0",), True), (), "", None),
    ],
)
def test_who_named_the_architectures(
    step: str,
    before: tuple[tuple[str, ...], bool],
    archs: tuple[str, ...],
    flag: str,
    result: tuple[tuple[str, ...], bool] | None,
) -> None:
    made_before = Made(profile="local", archs=before[0], asked=before[1])
    found = after(step, made_before, Made(profile="local", archs=archs), flag)
    assert (None if found is None else (found.archs, found.asked)) == result
