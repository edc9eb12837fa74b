"""Unmodified mamba_ssm and causal_conv1d, no compiled kernel, on the stand-ins."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mambaops.fallback import install as fallback

pytestmark = pytest.mark.long

JUDGE = Path(__file__).with_name("mamba_ssm_judge.py")
# The index holds sources only.
PACKAGES = ["mamba-ssm==2.3.2.post1", "causal-conv1d==1.7.0"]
# SKIP: no kernel, no compiler looked for. FORCE: no prebuilt wheel looked for, which a torch without
# CUDA makes setup.py die of.
NO_KERNELS = {
    f"{package}_{what}": "TRUE"
    for package in ("MAMBA", "CAUSAL_CONV1D")
    for what in ("SKIP_CUDA_BUILD", "FORCE_BUILD")
}


def run(*argv: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(a) for a in argv],
        env={**os.environ, "OMP_NUM_THREADS": "1", **env},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.network
def test_unmodified_mamba_ssm_trains_on_the_stand_ins(
    make_environment: Callable[..., Path], pip_install: Callable[..., None], triton: Path | None
) -> None:
    python = make_environment(*filter(None, [triton]))
    sources = ["--no-build-isolation", "--no-binary", "mamba-ssm,causal-conv1d"]
    pip_install("--python", python, "install", *sources, *PACKAGES, **NO_KERNELS)
    without = run(python, "-c", "import mamba_ssm")
    assert "No module named 'selective_scan_cuda'" in without.stderr

    assert fallback.install(python).notes == ()
    done = run(python, JUDGE)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["standins"] == [True, True]
    assert f"mamba-ssm=={said['mamba_ssm']}" in PACKAGES
    # float32 against float32 or float64: rounding of sums over 150 steps, nothing more
    assert {name: error for name, error in said["errors"].items() if not error < 5e-6} == {}
    assert len(said["errors"]) == 17
    assert said["mamba3"].startswith("Mamba-3 needs a GPU")
    # each probe takes a right function and refuses one that is a hundredth off
    assert len(said["probes"]) == 7
    first, last = said["losses"]
    assert last < first
