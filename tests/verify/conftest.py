from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from target_environment import TargetEnvironment


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not there to make a real module")
    return tmp_path_factory.mktemp("modules")


@pytest.fixture
def env(tmp_path: Path, shared: Path) -> TargetEnvironment:
    """Both packages as they should be, in an environment of their own."""
    made = TargetEnvironment(tmp_path / "env", shared)
    made.whole()
    return made
