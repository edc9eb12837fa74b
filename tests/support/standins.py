"""Stand-ins on PATH that print what the real programs print, and mambaops run before them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

from mambaops.core.paths import PACKAGE

MAMBAOPS = [sys.executable, "-m", "mambaops"]


def program(folder: Path, name: str, text: str) -> Path:
    """A shell script `bin/NAME` of a folder."""
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def command(folder: Path, *words: str, alone: bool = False) -> subprocess.CompletedProcess[str]:
    """mambaops with the stand-ins of `folder` first on PATH (or alone there)."""
    path = f"{folder}/bin" + ("" if alone else f":{os.environ['PATH']}")
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(PACKAGE.parent)}
    return subprocess.run(
        [*MAMBAOPS, *words], env=env, cwd=folder, capture_output=True, text=True, check=False
    )
