"""Every pipeline of the notes on its machine's stand-in, with nox: it runs through, and again does nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from stand_in_machine import Machine

from mambaops.compile.wheel import extensions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
MakeMachine = Callable[..., Machine]
NOTHING = re.compile(r"nothing to do: \S+ of profile")


@dataclass(frozen=True)
class Pipeline:
    """One profile on one machine, and what has to come out.

    Attributes:
        flags: words behind `--`. nightly: what the nightly index serves.
        wheels: package -> fragment of the version that is installed.
        code: (machine code, PTX) of what is compiled; None: nothing is.
        asked: fragments of what the machine's programs were asked for.
        never: fragments of what they must not be asked for.
    """

    profile: str
    machine: str
    python: str = ""
    changes: dict[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    nightly: str = ""
    torch: str = ""
    wheels: dict[str, str] = field(default_factory=dict)
    code: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    asked: tuple[str, ...] = ()
    never: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.profile}-on-{self.machine}" + "".join(self.flags).replace("--", "-")


WITHOUT_DRIVER = ("cuda-drivers", "nvidia-driver", "install -y cuda ", "--driver")
PIPELINES = [
    Pipeline(
        profile="wsl-5090",
        machine="wsl-5090-bare",
        flags=("--sudo",),
        nightly="2.12.0.dev20260301",
        torch="2.12.0.dev20260301+cu128",
        wheels={"causal-conv1d": "+cu128torch2.12.sm120.x", "mamba-ssm": "+cu128torch2.12.sm120.x"},
        code=(("12.0",), ()),
        asked=(
            "dpkg -i",
            "apt-get update",
            "apt-get install -y --no-install-recommends cuda-toolkit-12-8",
        ),
    ),
    Pipeline(
        profile="wsl-5090-ptx",
        machine="wsl-5090-nvcc126",
        torch="2.11.0+cu128",
        wheels={"mamba-ssm": "+cu128torch2.11.sm80sm86sm90ptx.x"},
        code=(("8.0", "8.6", "9.0"), ("9.0",)),
        never=("apt-get", "cuda-nvcc"),
    ),
    Pipeline(
        profile="debian-a800",
        machine="debian10-a800",
        python="3.10",
        torch="2.2.2+cu121",
        wheels={"selective-scan": "+cu121torch2.2.sm80.x", "mamba-ssm": "2.2.4+cu121torch2.2.sm80"},
        code=(("8.0",), ()),
        asked=("conda create --yes --prefix", "git clone --quiet --depth 1 --branch v2.2.4"),
        never=("apt-get", "cuda-nvcc"),
    ),
    Pipeline(
        profile="ubuntu20-graph-mamba",
        machine="ubuntu20-graph-mamba",
        python="3.9",
        torch="2.0.0+cu117",
        wheels={"mamba-ssm": "1.0.1+cu117torch2.0.sm86.x", "torch-scatter": "2.1.2+pt20cu117"},
        code=(("8.6",), ()),
        asked=("python=3.9 pip mkl<2024.1 libopenblas", "cuda-11.7.0", "GET /pyg/whl/torch-2.0.0"),
        never=("apt-get", "sudo"),
    ),
    Pipeline(
        profile="ubuntu22-cu118",
        machine="ubuntu22-cu118",
        python="3.10",
        torch="2.3.0+cu118",
        wheels={"causal-conv1d": "1.4.0+cu118torch2.3.sm86.x"},
        code=(("8.6",), ()),
        asked=("conda create --yes", "nvcc 11.8 selective_scan_fwd_fp32.cu 86"),
        never=("apt-get", "cuda-nvcc", "/releases/"),
    ),
    Pipeline(
        profile="digress",
        machine="digress",
        python="3.9",
        torch="2.0.1+cu118",
        wheels={"mamba-ssm": "2.2.2+cu118torch2.0.sm86.x"},
        code=(("8.6",), ()),
        asked=("label/cuda-11.8.0 -c", "cuda-nvcc"),
        never=("apt-get", "sudo", "nvcc 10.1"),
    ),
    Pipeline(
        profile="hopper",
        machine="hopper",
        torch="2.14.1+cu130",
        wheels={"mamba-ssm": "2.3.2.post1+cu130torch2.14.sm90.x"},
        code=(("9.0",), ()),
        asked=("GET /pypi/simple/nvidia-cuda-nvcc/",),
        never=("apt-get", "sudo", "conda"),
    ),
    Pipeline(
        profile="local",
        machine="no-gpu",
        flags=("--arch", "9.0"),
        torch="2.14.1+cu130",
        wheels={"causal-conv1d": "1.7.0+cu130torch2.14.sm90.x"},
        code=(("9.0",), ()),
        asked=("GET /pypi/simple/nvidia-nvvm/",),
        never=("apt-get", "sudo", "/releases/"),
    ),
]


@pytest.mark.parametrize("pipeline", PIPELINES, ids=lambda one: one.id)
def test_it_runs_through_and_again_does_nothing(
    pipeline: Pipeline, make_machine: MakeMachine
) -> None:
    machine = make_machine(pipeline.machine, pipeline.python, **pipeline.changes)
    machine.offer(pipeline.profile, nightly=pipeline.nightly)
    first = machine.nox(pipeline.profile, *pipeline.flags)
    assert first.returncode == 0, first.said[-6000:]
    looked_at(machine, pipeline, first.said)
    nothing_is_left_to_do(machine, pipeline)


def looked_at(machine: Machine, pipeline: Pipeline, said: str) -> None:
    """What is installed, what the wheels hold, what the machine was asked."""
    assert " 0 failed" in said
    there = machine.installed(pipeline.profile)
    assert there["torch"] in (pipeline.torch, pipeline.torch.partition("+")[0])
    for name, fragment in pipeline.wheels.items():
        assert fragment in there[name], (name, there[name])
    built = machine.wheels()
    assert built
    for wheel in built:
        for found in extensions(wheel).values():
            assert (found.cubins, found.ptx) == pipeline.code, wheel.name
    asked = machine.asked(*PROGRAMS)
    for fragment in pipeline.asked:
        assert any(fragment in line for line in asked), (fragment, asked)
    for fragment in (*pipeline.never, *WITHOUT_DRIVER):
        assert not [line for line in asked if fragment in line], fragment


PROGRAMS = ("apt-get", "dpkg", "sudo", "conda", "mamba", "micromamba", "git", "nvcc", "runfile")
PROGRAMS += ("GET", "docker")


def nothing_is_left_to_do(machine: Machine, pipeline: Pipeline) -> None:
    runs, before = machine.runs(), machine.installed(pipeline.profile)
    machine.forget()
    again = machine.nox(pipeline.profile, *pipeline.flags)
    assert again.returncode == 0, again.said[-4000:]
    assert machine.asked(*PROGRAMS) == []
    assert machine.runs() == runs, "a run that did nothing left evidence of something"
    assert machine.installed(pipeline.profile) == before
    steps = [line for line in again.said.splitlines() if "-m mambaops " in line]
    quiet = [line for line in steps if " plan " not in line and " verify " not in line]
    assert len(NOTHING.findall(again.said)) == len(quiet), again.said
    whole = machine.mambaops("build-mamba", "--profile", pipeline.profile, *pipeline.flags)
    assert whole.returncode == 0, whole.said[-3000:]
    assert re.findall(r"^(\S+): done in ", whole.said, re.MULTILINE) == []
    assert machine.asked(*PROGRAMS) == []
    assert machine.installed(pipeline.profile) == before
