"""Which Python is meant, with stand-ins on PATH and in environments."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mambaops.core import interpreters
from mambaops.core.errors import UsageError

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


def program(path: Path, text: str = "exit 0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def nothing_is_active(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def test_a_path_a_folder_and_a_name_on_path(tmp_path: Path) -> None:
    inside = program(tmp_path / "env/bin/python")
    on_path = program(tmp_path / "bin/python3.9")
    assert interpreters.named(inside) == inside
    assert interpreters.named(tmp_path / "env") == inside
    assert interpreters.named("python3.9") == on_path


def test_a_relative_path_is_made_absolute_and_a_link_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "env/bin/python"
    link.parent.mkdir(parents=True)
    link.symlink_to(program(tmp_path / "real"))
    monkeypatch.chdir(tmp_path)
    assert interpreters.named("env/bin/python") == link


def test_what_cannot_be_run_is_no_interpreter(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("no program")
    (tmp_path / "empty").mkdir()
    for wrong in (tmp_path / "plain", tmp_path / "empty", tmp_path / "none", "python3.9"):
        with pytest.raises(UsageError, match="there is no interpreter") as caught:
            interpreters.named(wrong)
        assert "--python" in caught.value.hint


def test_the_active_environment_virtual_before_conda(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert interpreters.active() is None
    conda = program(tmp_path / "conda/bin/python")
    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path / "conda"))
    assert interpreters.active() == conda
    virtual = program(tmp_path / "venv/bin/python")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    assert interpreters.active() == virtual
    virtual.unlink()  # the environment was removed, the shell does not know
    assert interpreters.active() == conda


def test_what_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, own = program(tmp_path / "named"), program(tmp_path / "own")
    active = program(tmp_path / "venv/bin/python")
    assert interpreters.to_look_at() == Path(sys.executable)
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    assert interpreters.to_look_at(own=tmp_path / "not/made/yet") == active
    assert interpreters.to_look_at(own=own) == own
    assert interpreters.to_look_at(named, own=own) == named


def test_what_is_changed_is_never_ours_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="no environment is active"):
        interpreters.to_change()
    third = program(tmp_path / "bin/python3")
    assert interpreters.to_change() == third
    plain = program(tmp_path / "bin/python")
    assert interpreters.to_change() == plain
    active = program(tmp_path / "venv/bin/python")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    assert interpreters.to_change() == active
    assert interpreters.to_change(str(plain)) == plain


def test_our_version_is_found_below_our_own_environment(tmp_path: Path) -> None:
    """Environments that are made with it outlive ours."""
    found = interpreters.of_version(VERSION)
    assert found is not None
    assert found.resolve() == Path(sys.executable).resolve()
    asked = [str(found), "-c", "import sys; print(sys.prefix == sys.base_prefix)"]
    assert subprocess.check_output(asked, text=True).strip() == "True"


def test_a_version_that_nobody_has_and_a_shim_that_does_not_run(tmp_path: Path) -> None:
    """pyenv puts names on PATH that only say that the version is not installed."""
    program(tmp_path / "bin/python3.7", "echo 'pyenv: python3.7: command not found' >&2; exit 127")
    assert interpreters.of_version("3.7") is None


def test_an_interpreter_that_lies_about_its_version_is_not_taken(tmp_path: Path) -> None:
    program(tmp_path / "bin/python3.7", f'exec {sys.executable} "$@"')
    assert interpreters.of_version("3.7") is None


def test_where_an_environments_interpreter_will_be(tmp_path: Path) -> None:
    if os.name == "nt":
        assert interpreters.of_environment(tmp_path) == tmp_path / "Scripts/python.exe"
        (tmp_path / "conda-meta").mkdir()
        assert interpreters.of_environment(tmp_path) == tmp_path / "python.exe"
    else:
        assert interpreters.of_environment(tmp_path) == tmp_path / "bin/python"


def environment(folder: Path, *marks: str) -> Path:
    """An interpreter in a folder that holds these."""
    found = program(folder / "bin/python")
    for mark in marks:
        (folder / mark).parent.mkdir(parents=True, exist_ok=True)
        (folder / mark).touch()
    return found


@pytest.mark.parametrize(
    ("marks", "whose"),
    [
        (("pyvenv.cfg",), ""),
        (("conda-meta/python-3.11.json",), ""),
        (("conda-meta/history", "pyvenv.cfg"), ""),
        (("conda-meta/history", "condabin/conda"), "conda's base"),
        (("conda-meta/conda-24.1.json",), "conda's base"),
        ((), "the system's Python"),
    ],
)
def test_whose_an_interpreter_is(tmp_path: Path, marks: tuple[str, ...], whose: str) -> None:
    python = environment(tmp_path / "env", *marks)
    found = interpreters.shared_by(python)
    assert found.startswith(whose)
    assert bool(found) == bool(whose)


def test_nothing_is_installed_where_others_stand_on_it(tmp_path: Path) -> None:
    system = environment(tmp_path / "usr")
    with pytest.raises(UsageError, match="nothing is installed there") as caught:
        interpreters.to_install_into(system)
    assert "--system" in caught.value.hint
    assert interpreters.to_install_into(system, system=True) == system
    inside = environment(tmp_path / "venv", "pyvenv.cfg")
    assert interpreters.to_install_into(inside) == inside


def test_the_python_on_path_is_the_systems_too(tmp_path: Path) -> None:
    program(tmp_path / "bin/python3")
    with pytest.raises(UsageError, match="nothing is installed there"):
        interpreters.to_install_into()


@pytest.mark.parametrize(
    "words", [("install-wheel", "x.whl"), ("install-requirements", "x.txt"), ("install-fallback",)]
)
def test_no_command_installs_over_the_systems_python(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    system = program(tmp_path / "usr/bin/python3", f"touch {tmp_path}/ran")
    argv = [sys.executable, "-m", "mambaops", *words, "--python", str(system)]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "nothing is installed there" in done.stderr
    assert not (tmp_path / "ran").exists()
