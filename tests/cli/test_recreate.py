"""`create-venv --recreate` and `--undo` as a person runs them, on real environments."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import mambaops, own_places

from mambaops.run.lock import locked
from mambaops.state.places import places

__all__ = ["own_places"]
pytestmark = pytest.mark.usefixtures("own_places")
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def env(tmp_path: Path) -> Path:
    """What looks like an environment, with something in it."""
    found = tmp_path / "home" / "envs" / "local"
    found.mkdir(parents=True)
    (found / "pyvenv.cfg").touch()
    (found / "torch").touch()
    return found


@pytest.mark.parametrize("word", ["--recreate", "--undo"])
def test_nothing_is_removed_where_nobody_can_be_asked(env: Path, word: str) -> None:
    done = mambaops("create-venv", word, "--python", HERE)
    assert done.returncode == 2
    assert (
        f"{env}, with everything that is installed in it: nobody can be asked here" in done.stderr
    )
    assert "--yes" in done.stderr
    assert (env / "torch").exists()


@pytest.mark.parametrize("word", ["--recreate", "--undo"])
def test_nothing_is_removed_beside_another_run(env: Path, word: str) -> None:
    with locked(places("local")):
        done = mambaops("create-venv", word, "--yes", "--python", HERE)
    assert done.returncode == 1
    assert "another mambaops is working" in done.stderr
    assert (env / "torch").exists()


def test_nothing_is_removed_without_the_wanted_python(env: Path) -> None:
    os.environ["UV_PYTHON_DOWNLOADS"] = "never"
    try:
        done = mambaops("create-venv", "--recreate", "--yes", "--python", "3.77")
    finally:
        del os.environ["UV_PYTHON_DOWNLOADS"]
    assert done.returncode == 1
    assert "there is no Python 3.77" in done.stderr
    assert (env / "torch").exists()


def test_it_is_made_anew_and_its_scripts_work(env: Path) -> None:
    done = mambaops("create-venv", "--recreate", "--yes", "--python", HERE, "--arch", "9.0")
    assert done.returncode == 0, done.stderr
    assert not (env / "torch").exists()
    assert [path.name for path in env.parent.iterdir()] == ["local"]
    pip = [env / "bin" / "pip", "--version"]
    told = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert str(env) in told.stdout, told.stderr
    again = mambaops("plan")
    assert "kernels for 9.0\n" in again.stdout
    assert "arch: what this environment was made for" in again.stdout
