"""Stand-in machines for the pipelines; what they need of this system, else the tests are skipped with the reason."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recorded import varied
from stand_in_machine import HERE, Machine, pythons

REAL = ("setuptools==69.5.1", "setuptools==80.9.0", "wheel==0.45.1", "packaging", "ninja==1.13.0")
ROOM = 11 * 1024**3  # the plan asks for 10 GiB


@pytest.fixture(scope="session")
def able(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Namespaces, a compiler and room: what a stand-in machine stands on."""
    for name in ("gcc", "git"):
        if shutil.which(name) is None:
            pytest.skip(f"a stand-in machine needs {name}")
    folder = tmp_path_factory.mktemp("able")
    if shutil.disk_usage(folder).free < ROOM:
        pytest.skip(f"needs {ROOM >> 30} GiB of free disk under {folder}")
    described = {"instead": {}, "over": {}, "hidden": [], "server": [], "root": True, "env": {}}
    (folder / "m.json").write_text(json.dumps(described))
    argv = [sys.executable, HERE / "enter.py", folder / "m.json", "/bin/true"]
    tried = subprocess.run(argv, capture_output=True, text=True, check=False)
    if tried.returncode:
        last = tried.stderr.strip().splitlines()[-1:]
        pytest.skip(f"this system lends no user and network namespaces: {last}")


@pytest.fixture(scope="session")
def real_wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real build tools, from the package index."""
    folder = tmp_path_factory.mktemp("real-wheels")
    for one in REAL:
        argv = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
        done = subprocess.run(
            [*argv, "-d", folder, one], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"the package index did not give {one}: {done.stderr.strip()[-200:]}")
    return folder


@pytest.fixture
def make_machine(able: None, real_wheels: Path, tmp_path: Path) -> Callable[..., Machine]:
    """make_machine("wsl-5090-bare", python="3.11", **changes of its facts) -> Machine."""

    def make(name: str, python: str = "", **changes: Any) -> Machine:
        if python and python not in pythons():
            pytest.skip(f"no Python {python} is on this system")
        return Machine(tmp_path / name, varied(name, changes), real_wheels)

    return make
