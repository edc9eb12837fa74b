"""The few calls that the steps make, so that they need not know how a patch is found and kept."""

from __future__ import annotations

from pathlib import Path

from mambaops.patching.cpp_extension import PatchedBounds, apply_bounds, find_file


def patch_cpp_extension_of(python: Path, cuda: str, *, gcc_max: int | None = None) -> PatchedBounds:
    """Add a CUDA release to the compiler tables of the torch that `python` imports (P11)."""
    return apply_bounds(find_file(python), cuda, gcc_max=gcc_max)
