"""CUDA kernels of mamba-ssm and causal-conv1d, compiled when they are first used; installed by mambaops.

`selective_scan_cuda` and `causal_conv1d_cuda` are thin packages over this one. It needs torch, its NVRTC and the
GPU's driver; no nvcc, no C++ compiler, no headers of torch or Python.
"""

__version__ = "1.0"

from . import c_compiler as _c_compiler

_c_compiler.tell_triton()
