"""How a printed command begins: what works for this person from where they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mambaops.core.invocation import program_of


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with an environment `.venv` that has mambaops."""
    programs = tmp_path / "my checkout" / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "mambaops", "invoke"):
        (programs / name).write_text(f"#!/bin/sh\necho {name}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    return tmp_path / "my checkout"


def begun(checkout: Path, started: str, folder: Path | None = None, **env: str) -> str:
    programs = checkout / ".venv" / "bin"
    env.setdefault("PATH", "/usr/bin:/bin")
    return program_of(str(programs / started), str(programs / "python"), env, folder or checkout)


@pytest.mark.parametrize("started", ["invoke", "mambaops", "python"])
def test_without_activating_it_is_the_path(checkout: Path, started: str) -> None:
    assert begun(checkout, started) == ".venv/bin/mambaops"


def test_what_is_printed_runs(checkout: Path, tmp_path: Path) -> None:
    for folder in (checkout, tmp_path, Path("/")):
        command = begun(checkout, "invoke", folder)
        done = subprocess.run(
            ["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.stdout == "mambaops\n", command


def test_on_path_it_is_its_name(checkout: Path) -> None:
    assert begun(checkout, "mambaops", PATH=f"{checkout}/.venv/bin:/bin") == "mambaops"


def test_another_mambaops_on_path_is_not_taken_for_it(checkout: Path, tmp_path: Path) -> None:
    other = tmp_path / "bin" / "mambaops"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n", encoding="utf-8")
    other.chmod(0o755)
    assert begun(checkout, "mambaops", PATH=f"{other.parent}:/bin") == ".venv/bin/mambaops"


@pytest.mark.parametrize("variable", ["NOX_CURRENT_SESSION", "UV_RUN_RECURSION_DEPTH"])
def test_a_path_that_only_a_child_has_does_not_count(checkout: Path, variable: str) -> None:
    path = f"{checkout}/.venv/bin:/bin"
    assert begun(checkout, "mambaops", PATH=path, **{variable: "1"}) == ".venv/bin/mambaops"


def test_without_the_program_it_is_the_interpreter(checkout: Path) -> None:
    (checkout / ".venv/bin/mambaops").unlink()
    assert begun(checkout, "python") == ".venv/bin/python -m mambaops"
    quoted = f"'{checkout}/.venv/bin/python' -m mambaops"
    assert begun(checkout, "python", Path("/")) == quoted


def test_in_a_folder_that_is_gone_the_path_is_whole(checkout: Path) -> None:
    programs = checkout / ".venv" / "bin"
    shown = program_of(str(programs / "mambaops"), str(programs / "python"), {"PATH": ""}, None)
    assert shown == f"'{programs / 'mambaops'}'"
