"""The Triton kernels without a GPU: interpreted for their numbers, compiled for real architectures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

HERE = Path(__file__).parent

COMPILE = """
import json
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from mambaops.payload.scan.triton_kernels import backward_kernel, forward_kernel

SINGLE = set("A B C D bias starts last dlast scratch dA dB dC dD dbias".split())
WHOLE = set("length dim state chunks".split())

def built(kernel, architecture, kind, **constants):
    names = kernel.arg_names
    signature = {n: "constexpr" if n in constants else "i32" if n in WHOLE
                 else "*fp32" if n in SINGLE else "*" + kind for n in names}
    source = ASTSource(fn=kernel, signature=signature,
                       constexprs={(names.index(n),): v for n, v in constants.items()})
    done = triton.compile(source, target=GPUTarget("cuda", architecture, 32), options={"num_warps": 1})
    return len(done.asm["cubin"])

common = dict(CHUNK=32, HAS_D=True, HAS_Z=True, HAS_BIAS=True, SOFTPLUS=True, BLOCK_D=16, BLOCK_N=16)
print(json.dumps([
    [architecture, built(forward_kernel, architecture, kind, KEEP=True, **common),
     built(backward_kernel, architecture, kind, HAS_LAST=True, **common)]
    for architecture, kind in ((80, "bf16"), (90, "fp32"), (120, "bf16"))
]))
"""


def environment(triton: Path | None, **more: str) -> dict[str, str]:
    folders = [str(HERE.parents[2] / "src"), *map(str, filter(None, [triton]))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "OMP_NUM_THREADS": "1", **more}


@pytest.mark.network
def test_interpreted_kernels_equal_the_definition(triton: Path | None) -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "triton_judge.py")],
        env=environment(triton, TRITON_INTERPRET="1"),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    errors = json.loads(done.stdout)
    assert len(errors) == 3
    assert {case: error for case, error in errors.items() if not error < 1e-5} == {}


@pytest.mark.network
def test_kernels_compile_for_real_architectures(
    triton: Path | None, run_python: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """Triton's own assembler makes machine code for a GPU that is not here: no nvcc takes part."""
    done = run_python(COMPILE, path=triton, TRITON_CACHE_DIR=str(tmp_path), PATH="/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    sizes = json.loads(done.stdout)
    assert [architecture for architecture, *_ in sizes] == [80, 90, 120]
    assert all(forward > 1000 and backward > 1000 for _, forward, backward in sizes)
