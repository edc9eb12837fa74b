"""NVRTC of the notes' CUDAs compiles the kernels; and every kernel for one architecture. No GPU, no driver."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kernel_sources
import pytest
from kernel_runs import Run

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(7200)]

COMPILE = """
import sys
from mambaops_kernels import architectures, compiler, locate, rules
from mambaops_kernels.sources import installed
instances = {instances}
toolchain = locate.find({cuda!r})
target = architectures.target({capability}, toolchain.cuda)
assert target.option == {option!r}, target
for one in instances:
    stored = compiler.compile_kernel(installed(), one, toolchain, target)
    layout = compiler.layout_of(installed(), one, stored)
    assert layout.threads in (32, 64, 128) and stored.code[:4] == b"\\x7fELF", one
print(len(instances))
"""
HANDFUL = (
    "[rules.Instance('scan_fwd', (32, 4, False, True, True, True, 'bf16', 'fp32')),"
    " rules.Instance('scan_bwd', (128, 16, True, True, True, True, True, 'bf16', 'fp32')),"
    " rules.Instance('scan_bwd', (32, 16, False, True, False, True, True, 'fp16', 'complex64')),"
    " *rules.conv_instances('bf16', 'fp32')[::19]]"
)


@pytest.mark.parametrize(
    ("cuda", "capability"),
    [
        ("11.7", (8, 0)),
        ("11.8", (8, 6)),
        ("12.1", (8, 0)),
        ("12.8", (12, 0)),
        ("13.0", (9, 0)),
        ("13.0", (12, 0)),
    ],
)
def test_the_cudas_of_the_notes(run: Run, cuda: str, capability: tuple[int, int]) -> None:
    option = f"sm_{capability[0]}{capability[1]}"
    lines = COMPILE.format(instances=HANDFUL, cuda=cuda, capability=capability, option=option)
    # NVRTC 13 looks at the driver too, and the stand-in is too little of one for it
    assert int(run(lines, cuda=cuda, LD_LIBRARY_PATH="").stdout) == 3 + -(-138 // 19)


@pytest.mark.skipif(
    not os.environ.get("MAMBAOPS_EVERY_KERNEL"), reason="two CPU hours; MAMBAOPS_EVERY_KERNEL=1"
)
def test_every_kernel_of_the_newest_releases(installed: Path) -> None:
    import json
    import subprocess
    import sys

    every = (
        "[i for k in ('fp32', 'fp16', 'bf16') for w in ('fp32', 'complex64') for b in (False, True)"
        " for i in rules.scan_instances(k, w, backward=b)]"
        " + [i for k in ('fp32', 'fp16', 'bf16') for w in ('fp32', 'fp16', 'bf16')"
        " for i in rules.conv_instances(k, w)]"
    )
    workers = os.cpu_count() or 1
    env = {
        **os.environ,
        "PYTHONPATH": str(installed),
        "MAMBAOPS_NVRTC": str(kernel_sources.nvrtc("13.0")),
    }

    def part(number: int) -> int:
        chosen = f"({every})[{number}::{workers}]"
        lines = COMPILE.format(instances=chosen, cuda="13.0", capability=(9, 0), option="sm_90")
        argv = [sys.executable, "-c", lines]
        return int(
            json.loads(subprocess.run(argv, env=env, check=True, capture_output=True).stdout)
        )

    with ThreadPoolExecutor(workers) as pool:
        assert sum(pool.map(part, range(workers))) == 3 * 2 * (80 + 160) + 9 * 138
