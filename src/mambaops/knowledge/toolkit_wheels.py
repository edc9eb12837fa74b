"""The wheels of the package index that together are nvcc (CUDA 13 and newer)."""

from __future__ import annotations

# compiler, its code generator, its headers, the C++ core libraries; the runtime comes with torch
# but is named so that it is there without torch as well
TOOLKIT_WHEELS = (
    "nvidia-cuda-nvcc",
    "nvidia-nvvm",
    "nvidia-cuda-crt",
    "nvidia-cuda-cccl",
    "nvidia-cuda-runtime",
)


def toolkit_wheels(cuda: str) -> list[str]:
    """pip requirements for the toolkit of one minor version, `13.0`."""
    return [f"{name}=={cuda}.*" for name in TOOLKIT_WHEELS]
