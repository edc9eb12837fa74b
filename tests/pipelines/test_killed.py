"""Every pipeline killed (SIGKILL, of all processes at once) inside every one of its steps, and continued.

The run goes on from the kill; the next one comes in the next step. In the end the pipeline is whole, and nothing
that was whole at a kill was compiled again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stand_in_machine import Machine
from test_twice import PIPELINES, PROGRAMS, MakeMachine, Pipeline, looked_at, nothing_is_left_to_do

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

TORCH = r"^/.*/torch-[^/]*\.whl"
CONDA_TOOLKIT, APT_TOOLKIT = r"toolkit: half of", r"toolkit: half of"
# step -> what stands still inside of it
INSIDE = {
    "install-torch": TORCH,
    "find-wheels": r"^/(astral|releases)/",
    "install-toolkit": CONDA_TOOLKIT,
    "prepare-build": r"/ninja/ninja-.*whl",
    "fetch-sources": r"^git clone|/simple/mamba-ssm/.*gz",
    "build-wheel:causal-conv1d": r"^nvcc .*causal_conv1d_fwd.cu",
    "build-wheel:mamba-ssm": r"^nvcc .*selective_scan_fwd",
    "build-wheel:selective-scan": r"^nvcc .*oflex",
    "install-wheels": r"/einops/einops-.*whl",
    "verify": "verify",
}


def words(pipeline: Pipeline, step: str) -> list[str | Path]:
    name, _, package = step.partition(":")
    more = ["--package", package] if package else []
    argv = [sys.executable, "-m", "mambaops", name, "--profile", pipeline.profile, *more]
    return [*argv, *pipeline.flags]


def begun(machine: Machine, pipeline: Pipeline, step: str) -> Callable[[], bool]:
    """Has the step begun? For those that do nothing but write files: their run's folder is there."""
    env, before = machine.folder / "work" / "envs" / pipeline.profile, len(machine.runs())
    if step == "create-venv":
        return lambda: (env / "pyvenv.cfg").exists() or (env / "bin").exists()
    return lambda: any((one / "plan.json").exists() for one in machine.runs()[before:])


def kill_inside(machine: Machine, pipeline: Pipeline, step: str) -> None:
    argv = words(pipeline, "build-mamba" if step == "verify" else step)
    kit = pipeline.profile in ("hopper", "local")
    pattern = r"/nvidia-nvvm/.*whl" if step == "install-toolkit" and kit else INSIDE.get(step)
    if pattern is not None:
        machine.killed_at(pattern, *argv)
    else:
        machine.killed_when(begun(machine, pipeline, step), step, *argv)


def needed(machine: Machine, pipeline: Pipeline) -> list[str]:
    """Steps that the plan still has to do, in order."""
    import json

    done = machine.mambaops("plan", "--profile", pipeline.profile, "--json", *pipeline.flags)
    assert done.returncode == 0, done.said[-3000:]
    plan = json.loads(done.said[done.said.index("{") :])
    return [one["id"] for one in plan["steps"] if one["status"] == "needed"]


@pytest.mark.parametrize("pipeline", PIPELINES, ids=lambda one: one.id)
def test_killed_inside_every_step_it_goes_on(pipeline: Pipeline, make_machine: MakeMachine) -> None:
    machine = make_machine(pipeline.machine, pipeline.python, **pipeline.changes)
    machine.offer(pipeline.profile, nightly=pipeline.nightly)
    killed: list[str] = []
    while left := [step for step in needed(machine, pipeline) if step not in killed]:
        step = left[0]
        kill_inside(machine, pipeline, step)
        killed.append(step)
        if step != "verify":
            done = machine.run(*words(pipeline, step))
            assert done.returncode == 0, (step, done.said[-4000:])
    assert killed[0] == "create-venv" and killed[-1] == "verify"
    whole = machine.nox(pipeline.profile, *pipeline.flags)
    assert whole.returncode == 0, whole.said[-4000:]
    looked_at(machine, pipeline, whole.said)
    compiled = [line for line in machine.asked("nvcc") if "selective_scan_fwd" in line]
    assert len(compiled) <= len(set(compiled)) + 2, "whole objects were compiled again"
    nothing_is_left_to_do(machine, pipeline)
    assert machine.asked(*PROGRAMS) == []
