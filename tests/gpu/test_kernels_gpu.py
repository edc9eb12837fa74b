"""On a GPU: the installed kernels against their references, as `mambaops verify` runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from mambaops.core.paths import payload_file

pytestmark = pytest.mark.gpu
# the interpreter of the environment that holds the kernels
PYTHON = os.environ.get("MAMBAOPS_TARGET_PYTHON", sys.executable)


def test_values_gradients_and_speed_against_the_references() -> None:
    argv = [PYTHON, str(payload_file("numerics.py")), "--device", "cuda"]
    done = subprocess.run(argv, capture_output=True, text=True, cwd="/", check=False, timeout=900)
    checks = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, done.stderr[-2000:]
    assert {check["id"] for check in checks} >= {"scan-backward-bfloat16", "block-step"}
    assert [check for check in checks if check["outcome"] != "ok"] == []


def test_kernels_without_nvcc_on_the_gpu() -> None:
    """First use, calls, a graph, two streams; the bits of compiled kernels where `MAMBAOPS_COMPILED` names their folder."""
    argv = [
        PYTHON,
        str(payload_file("kernels_gpu.py")),
        "--compiled",
        os.environ.get("MAMBAOPS_COMPILED", ""),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, cwd="/", check=False, timeout=900)
    checks = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, done.stderr[-2000:]
    assert {check["id"] for check in checks} >= {"first-use", "update:ours", "graph", "two-streams"}
    assert [check for check in checks if check["outcome"] == "failed"] == []
