"""The flags handed to a real nvcc, and what is really inside what it makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mambaops.core import process
from mambaops.patching.archs import nvcc_flags, parse_archs
from mambaops.wheels.inspect.fatbin import architectures, read_fatbins

NVCC = process.which("nvcc")
pytestmark = pytest.mark.skipif(NVCC is None, reason="no nvcc on PATH")


@pytest.mark.parametrize(
    ("archs", "one_ptx", "cubins", "ptx"),
    [
        ("9.0", False, ["9.0"], []),
        ("8.0;9.0+PTX", False, ["8.0", "9.0"], ["9.0"]),
        ("8.0+PTX;8.6;9.0", True, ["8.0", "8.6", "9.0"], ["8.0"]),
        ("9.0a;12.0f", False, ["9.0a", "12.0f"], []),
    ],
)
def test_exactly_these_are_inside(
    tmp_path: Path, archs: str, one_ptx: bool, cubins: list[str], ptx: list[str]
) -> None:
    (tmp_path / "a.cu").write_text("__global__ void f(float* x) { x[threadIdx.x] *= 2; }\n")
    flags = nvcc_flags(parse_archs(archs), one_ptx=one_ptx)
    assert NVCC is not None
    process.run([NVCC, *flags, "-fatbin", "a.cu", "-o", "a.fatbin"], cwd=tmp_path, timeout=120)
    inside = read_fatbins((tmp_path / "a.fatbin").read_bytes())
    assert list(architectures(inside, "cubin")) == cubins
    assert list(architectures(inside, "ptx")) == ptx
