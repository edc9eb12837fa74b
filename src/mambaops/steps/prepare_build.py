"""What setup.py needs beside torch: setuptools, wheel, packaging, ninja, as the profile bounds them."""

from __future__ import annotations

from pathlib import Path

from mambaops.decide.assess import Case, missing_build_requirements
from mambaops.steps.context import Context

STEP = "prepare-build"


def act(context: Context, case: Case) -> None:
    """Install what is missing; torch's own setuptools bound is in the profile's list."""
    words: list[str | Path] = ["install", *missing_build_requirements(case)]
    context.pip(STEP, words)
