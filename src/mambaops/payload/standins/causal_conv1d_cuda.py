"""mambaops' stand-in for causal-conv1d's compiled `causal_conv1d_cuda`: plain PyTorch, any device.

Put here by `mambaops install-fallback`; `pip uninstall mambaops-fallback` removes it. It makes
causal_conv1d importable where no kernel was compiled; it is not as fast as the kernel.
Its Triton functions take CPU tensors too from then on.
"""

from mambaops_fallback.on_a_cpu import serve  # type: ignore[import-not-found]
from mambaops_fallback.raw_conv import (  # type: ignore[import-not-found]
    causal_conv1d_bwd,
    causal_conv1d_fwd,
    causal_conv1d_update,
)

__mambaops_standin__ = True
__version__ = "1.0"
__all__ = ["causal_conv1d_bwd", "causal_conv1d_fwd", "causal_conv1d_update"]

serve()
