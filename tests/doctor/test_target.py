"""Which environment the doctor looks at: after a build without activating anything it is the built one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mambaops.core import interpreters
from mambaops.doctor.command import Request, target_python
from mambaops.profiles.load import load_profile


def environment(folder: Path) -> Path:
    """A folder that looks like an environment; its interpreter."""
    python = interpreters.of_environment(folder)
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    return python


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path))
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_what_was_built_is_looked_at_and_not_what_runs_mambaops(home: Path) -> None:
    assert target_python(Request(), None) == interpreters.ours()
    built = environment(home / "envs" / "local")
    assert target_python(Request(), None) == built


def test_an_active_environment_of_the_person_comes_first(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(home / "envs" / "local")
    mine = environment(home / "mine")
    monkeypatch.setenv("VIRTUAL_ENV", str(home / "mine"))
    assert target_python(Request(), None) == mine


def test_the_environment_of_mambaops_itself_does_not(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = environment(home / "envs" / "local")
    monkeypatch.setenv("VIRTUAL_ENV", str(interpreters.ours().parent.parent))
    assert target_python(Request(), None) == built


def test_a_named_one_and_the_profile_s_come_before(home: Path) -> None:
    environment(home / "envs" / "local")
    hopper = environment(home / "envs" / "hopper")
    other = environment(home / "other")
    assert target_python(Request(), load_profile("hopper")) == hopper
    assert target_python(Request(python=str(other)), load_profile("hopper")) == other
