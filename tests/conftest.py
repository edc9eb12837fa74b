"""What every test stands on: the user's own store of wheels is out of reach."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

FOLDER = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """A cache of the run's own, also for the programs that tests start."""
    config.stash[FOLDER] = Path(tempfile.mkdtemp(prefix="mambaops-tests-"))
    os.environ["MAMBAOPS_CACHE"] = str(config.stash[FOLDER])
    os.environ.pop("MAMBAOPS_MIRRORS", None)


def pytest_unconfigure(config: pytest.Config) -> None:
    """It goes with the run."""
    shutil.rmtree(config.stash[FOLDER], ignore_errors=True)
