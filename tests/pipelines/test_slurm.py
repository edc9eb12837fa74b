"""`build-wheel --slurm` on a stand-in machine that is the login node and every node of a real Slurm."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stand_in_machine import Machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SLURM = Path(__file__).parents[1] / "support" / "one_slurm.py"


def test_both_wheels_are_compiled_as_an_array(make_machine: Callable[..., Machine]) -> None:
    if shutil.which("sbatch") is None:
        pytest.skip("not here: Slurm (`apt-get install slurm-wlm`)")
    machine = make_machine("ubuntu22-cu118")
    machine.offer("ubuntu22-cu118")
    machine.with_mambaops()
    machine.address = "192.0.2.1"
    build = "mambaops build-wheel --profile ubuntu22-cu118 --slurm --partition gpu"
    script = f"{build} && echo AGAIN && {build}"
    words = [sys.executable, str(SLURM), str(machine.folder / "slurm"), "sh", "-c", script]
    done = machine.shell(shlex.join(words))
    assert done.returncode == 0, done.said
    print(done.said)
    first, _, again = done.said.partition("AGAIN")
    assert "2 tasks" in first
    for package in ("causal-conv1d", "mamba-ssm"):
        assert f"{package}: job " in first
        assert "RUNNING on gpu" in first
    assert len(machine.wheels()) == 2
    assert "nothing to do" in again
