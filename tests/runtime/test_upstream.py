"""Our launches against upstream's own compiled host code: the same, byte for byte, refusals included."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import kernel_sources
import pytest

from mambaops.core.paths import PACKAGE

HERE = Path(__file__).parent
DRAWS = int(os.environ.get("MAMBAOPS_DRAWS", "1500"))


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(
    ("what", "package", "kernels"), [("scan", "mamba-ssm", 300), ("conv", "causal-conv1d", 200)]
)
def test_launches_are_upstreams(installed: Path, what: str, package: str, kernels: int) -> None:
    if shutil.which("g++") is None:
        pytest.skip("upstream's host code is C++, and there is no g++")
    extension = _built(package, what)
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(installed), str(PACKAGE.parent)]),
        "MAMBAOPS_NVRTC": str(kernel_sources.nvrtc("13.0")),
        "OMP_NUM_THREADS": "1",
    }
    argv = [sys.executable, HERE / "compare_launches.py", what, extension, str(DRAWS), "1"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["wrong"] == []
    assert found["refusals"] > DRAWS / 20
    assert found["kernels"] > min(kernels, DRAWS / 10)


def _built(package: str, what: str) -> Path:
    """Compiled once per machine and version of what it is made of."""
    import torch

    source = kernel_sources.source(package, kernel_sources.NEWEST[package])
    texts = [(HERE / name).read_text() for name in ("upstream_host.py", "recording_runtime.cpp")]
    key = hashlib.sha256("".join([*texts, torch.__version__, sys.version]).encode()).hexdigest()
    out = kernel_sources.FOLDER / f"host-{key[:12]}" / f"upstream_{what}.so"
    if not out.is_file():
        out.parent.mkdir(exist_ok=True)
        argv = [sys.executable, HERE / "upstream_host.py", source.tree, package]
        argv += [kernel_sources.nvcc(), out]
        env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
        subprocess.run(argv, env=env, check=True)
    return out
