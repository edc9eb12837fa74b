"""`invoke bootstrap` in a copy of the checkout; twice, and beside somebody else's hook."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mambaops.core.paths import CHECKOUT

pytestmark = [pytest.mark.slow, pytest.mark.network]


def copy_of_the_checkout(folder: Path) -> Path:
    names = [
        "src",
        "env_profiles",
        "patches",
        "noxfile.py",
        "tasks.py",
        "pyproject.toml",
        "README.md",
    ]
    folder.mkdir()
    for name in names:
        source = CHECKOUT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)  # type: ignore[operator]
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    # the tools themselves are installed by every run of the tests: here pip has little to do
    text = (folder / "pyproject.toml").read_text(encoding="utf-8")
    start = text.index("[dependency-groups]")
    end = text.index("[tool.hatch.build.targets.wheel]")
    groups = '[dependency-groups]\ntest = ["iniconfig"]\ntarget = []\nlint = ["ruff"]\n\n'
    (folder / "pyproject.toml").write_text(text[:start] + groups + text[end:], encoding="utf-8")
    return folder


def bootstrap(folder: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(folder / "src")}
    argv = [sys.executable, "-m", "invoke", "bootstrap"]
    return subprocess.run(
        argv, capture_output=True, text=True, cwd=folder, env=env, check=False, timeout=280
    )


def test_it_sets_up_and_is_safe_to_repeat(tmp_path: Path) -> None:
    folder = copy_of_the_checkout(tmp_path / "checkout")
    first = bootstrap(folder)
    assert first.returncode == 0, first.stderr
    assert "nox -s tests" in first.stderr
    assert (folder / ".venv" / "bin" / "mambaops").exists()
    hook = folder / ".git" / "hooks" / "pre-commit"
    assert os.access(hook, os.X_OK)
    again = bootstrap(folder)
    assert again.returncode == 0
    assert "there already" in again.stderr
    hook.write_text("#!/bin/sh\n# mine\n", encoding="utf-8")
    assert "somebody else's" in bootstrap(folder).stderr
    assert "# mine" in hook.read_text(encoding="utf-8")
