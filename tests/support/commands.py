"""A mambaops command as a person runs it, with places of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cache, no state and no proxy of the person who runs the tests."""
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path / "home"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


def mambaops(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; a traceback is a failure whatever the exit status."""
    argv = [sys.executable, "-m", "mambaops", *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done
