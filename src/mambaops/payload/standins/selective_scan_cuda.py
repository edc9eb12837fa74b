"""mambaops' stand-in for mamba-ssm's compiled `selective_scan_cuda`: plain PyTorch, any device.

Put here by `mambaops install-fallback`; `pip uninstall mambaops-fallback` removes it. It makes mamba_ssm
importable and its Mamba block trainable where no kernel was compiled; it is not as fast as the kernel.
Its Triton functions take CPU tensors too from then on.
"""

from mambaops_fallback.on_a_cpu import serve  # type: ignore[import-not-found]
from mambaops_fallback.raw_scan import bwd, fwd  # type: ignore[import-not-found]

__mambaops_standin__ = True
__version__ = "1.0"
__all__ = ["bwd", "fwd"]

serve()
