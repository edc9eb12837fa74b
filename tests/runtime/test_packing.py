"""Packs: the same machine code as on first use, whole files only, what is there stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import kernel_sources
import pytest

pytestmark = pytest.mark.network
SHORT = """
import json, sys
from mambaops_kernels import compiler, packing, rules
from mambaops_kernels.locate import find
from mambaops_kernels.architectures import Target
from mambaops_kernels.sources import installed
folder, count = sys.argv[1], int(sys.argv[2])
sources, toolchain = installed(), find(None)
chosen = (rules.conv_instances("bf16", "bf16") + rules.scan_instances("bf16", "fp32", backward=False))[-count:]
jobs = packing.jobs_of(sources, chosen, [Target("cubin", (8, 0))], folder)
packing.compile_all(sources, toolchain, jobs, 1, 0, len(jobs))
"""


def python(tree: Path, *words: str, cuda: str = "12.1") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(tree), "MAMBAOPS_NVRTC": str(kernel_sources.nvrtc(cuda))}
    argv = [sys.executable, *words]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)


def packed(tree: Path, folder: Path, count: int, cuda: str) -> list[dict[str, int]]:
    folder.mkdir(exist_ok=True)
    done = python(tree, "-c", SHORT, str(folder), str(count), cuda=cuda)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.long
def test_a_damaged_kernel_is_compiled_again_and_whole_ones_stay(
    installed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pack"
    packed(installed, folder, 2, "12.1")
    first, second = sorted(folder.iterdir())
    before, stayed = first.read_bytes(), second.stat().st_mtime_ns
    first.write_bytes(before[:-1])
    assert packed(installed, folder, 2, "12.1") == [{"done": 1, "of": 1}]
    assert first.read_bytes() == before
    assert second.stat().st_mtime_ns == stayed


SAME = """
import sys
from mambaops_kernels import compiler, rules, store
from mambaops_kernels.architectures import Target
from mambaops_kernels.locate import find
from mambaops_kernels.sources import installed
sources = installed()
for instance in rules.scan_instances("bf16", "fp32", backward=False)[-2:]:
    wanted = Target("cubin", (8, 0))
    alone = compiler.compile_kernel(sources, instance, find(None), wanted)
    inside = store.load(sys.argv[1] + "/" + compiler.pack_name(sources, instance, wanted))
    print(all(inside.head[key] == value for key, value in alone.head.items()), inside.code == alone.code)
"""


@pytest.mark.long
def test_compiled_headers_give_the_same_machine_code(installed: Path, tmp_path: Path) -> None:
    packed(installed, tmp_path / "pack", 2, "12.8")
    done = python(installed, "-c", SAME, str(tmp_path / "pack"), cuda="12.8")
    assert done.stdout.split() == ["True"] * 4, done.stderr


def test_an_architecture_that_the_nvrtc_does_not_know_is_refused(
    installed: Path, tmp_path: Path
) -> None:
    words = ("-m", "mambaops_kernels.packing", "--arch", "12.0", "--folder", str(tmp_path / "pack"))
    done = python(installed, *words)
    assert done.returncode == 1
    assert "the NVRTC of CUDA 12.1" in done.stderr
    assert "12.0" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "pack").exists()


def test_the_usual_kernels_are_those_of_mambas_blocks(installed: Path) -> None:
    lines = (
        "from mambaops_kernels.packing import usual\nfor one in usual(['bf16']): print(one.name)"
    )
    names = python(installed, "-c", lines).stdout.splitlines()
    scans = [name for name in names if name.startswith("scan_bwd")]
    # five classes of length, whole or not, with the gate or without
    assert len(scans) == 20
    assert all("variable_B=1 variable_C=1 softplus=1" in name for name in scans)
    convs = [name for name in names if name.startswith("conv")]
    assert all("width=4" in name and "silu=0" not in name for name in convs)
    assert not [name for name in convs if "final_states=1" in name]
    assert {name.split()[0] for name in convs} == {
        "conv_fwd", "conv_fwd_channel_last", "conv_bwd", "conv_bwd_channel_last", "conv_update"
    }  # fmt: skip
    assert {name.rpartition("weight=")[2] for name in convs} == {"bf16", "fp32"}
