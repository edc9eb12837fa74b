"""`install-cc`: a real environment without a C compiler on PATH, real pip, and the machine's gcc under zig's name."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from commands import mambaops
from small_wheels import MakeWheel
from standins import program

GCC = shutil.which("gcc")
# called as `python -m ziglang cc …`
ZIG = (
    f"import os, sys\nassert sys.argv.pop(1) == 'cc'\nos.execv({GCC!r}, [{GCC!r}, *sys.argv[1:]])\n"
)

pytestmark = pytest.mark.usefixtures("own_places", "no_pip_settings")


@pytest.fixture
def env(tmp_path: Path) -> Path:
    """The environment of the profile `local`, and no compiler on PATH."""
    if GCC is None or not Path(sysconfig.get_paths()["include"], "Python.h").is_file():
        pytest.skip("no gcc or no Python.h here: nothing to compile with under another name")
    folder = tmp_path / "home" / "envs" / "local"
    argv = [sys.executable, "-m", "virtualenv", "-q", "--without-pip", "--no-periodic-update"]
    subprocess.run([*argv, folder], check=True)
    return folder


@pytest.fixture
def no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("sh", "uname", "ldconfig", "dirname"):
        if found := shutil.which(name):
            (tmp_path / "bin" / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("CC", "CXX", "CUDAHOSTCXX"):
        monkeypatch.delenv(name, raising=False)


def offered(make_wheel: MakeWheel, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The only package that pip can have."""
    wheel = make_wheel("ziglang", "0.17.1", files={"ziglang/__main__.py": text.encode()})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))


@pytest.mark.usefixtures("no_compiler")
def test_what_lacks_is_installed_proven_and_found_again(
    env: Path, make_wheel: MakeWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # gcc finds its own linker by PATH, zig brings one
    tools = f"os.environ['PATH'] = {str(Path(GCC or '').parent)!r}\n"
    offered(make_wheel, monkeypatch, ZIG.replace("assert", tools + "assert"))
    done = mambaops("install-cc", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["action"], said["brought"]) == ("installed", ["ziglang"])
    assert said["path"] == str(env / "bin" / "mambaops-cc")
    assert "no C compiler here: ziglang from the package index" in done.stderr
    again = mambaops("install-cc")
    assert "nothing to do: Triton can compile with" in again.stdout
    assert said["path"] in again.stdout


@pytest.mark.usefixtures("no_compiler")
def test_one_that_does_not_work_is_said(
    env: Path, make_wheel: MakeWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered(make_wheel, monkeypatch, "import sys; sys.exit('error: AccessDenied')\n")
    done = mambaops("install-cc")
    assert done.returncode == 4
    assert "mambaops-cc does not work: error: AccessDenied" in done.stderr


@pytest.mark.usefixtures("no_compiler")
def test_without_the_index_it_says_what_pip_said(
    env: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    done = mambaops("install-cc")
    assert done.returncode == 1
    assert "No matching distribution found for ziglang" in done.stderr
    assert not (env / "bin" / "mambaops-cc").exists()


def test_a_machine_that_lacks_nothing_is_left_as_it_is(env: Path) -> None:
    before = sorted(env.rglob("*"))
    done = mambaops("install-cc")
    assert done.returncode == 0, done.stderr
    assert "nothing to do" in done.stdout
    assert sorted(env.rglob("*")) == before


def test_what_the_user_names_is_what_triton_calls(
    env: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gcc would do, and Triton would not take it."""
    named = program(tmp_path, "icc", "echo 'error: no licence' >&2; exit 1")
    monkeypatch.setenv("CC", str(named))
    done = mambaops("install-cc")
    assert done.returncode == 0, done.stderr
    assert f"export CC={env / 'bin' / 'mambaops-cc'}" in done.stdout


def test_without_an_environment_it_says_how_to_get_one(tmp_path: Path) -> None:
    done = mambaops("install-cc", "--profile", "wsl-5090")
    assert done.returncode == 2
    assert "create-venv --profile wsl-5090" in done.stderr
    assert not (tmp_path / "home" / "envs").exists()
