"""What every test stands on: the user's own store of wheels is out of reach."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

FOLDER = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """A cache of the run's own, also for the programs that tests start."""
    config.stash[FOLDER] = Path(tempfile.mkdtemp(prefix="mambaops-tests-"))
    os.environ["MAMBAOPS_CACHE"] = str(config.stash[FOLDER])
    os.environ.pop("MAMBAOPS_MIRRORS", None)
    _hear_signals()


def _hear_signals() -> None:
    """A shell's background job, or nohup, starts us deaf, and every program that a test starts with us."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_unconfigure(config: pytest.Config) -> None:
    """It goes with the run."""
    shutil.rmtree(config.stash[FOLDER], ignore_errors=True)
