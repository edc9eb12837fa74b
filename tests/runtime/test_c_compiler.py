"""Triton is told of the compiler that `install-cc` made, and of no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from standins import program

from mambaops.core.paths import payload_file

CODE = """import os, sys
sys.prefix = sys.argv[1]
import mambaops_kernels
print(os.environ.get("CC"))
"""


@pytest.mark.parametrize(
    ("installed", "named", "told"),
    [
        (False, None, "None"),
        (True, None, "{prefix}/bin/mambaops-cc"),
        (True, "gcc-12", "gcc-12"),
    ],
)
def test_programs_with_our_kernels_find_it_unless_they_name_another(
    tmp_path: Path, installed: bool, named: str | None, told: str
) -> None:
    if installed:
        program(tmp_path, "mambaops-cc", "exit 0")
    env = {**os.environ, "PYTHONPATH": str(payload_file("kernels"))}
    env.pop("CC", None)
    if named:
        env["CC"] = named
    argv = [sys.executable, "-c", CODE, str(tmp_path)]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == told.format(prefix=tmp_path)
