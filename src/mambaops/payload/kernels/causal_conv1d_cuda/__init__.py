"""causal-conv1d's compiled module, served by mambaops: upstream's kernels, compiled when they are first used.

Installed as `mambaops-kernels`; `pip uninstall mambaops-kernels` removes it. CPU tensors go to plain PyTorch.
"""

from mambaops_kernels.entry import (  # type: ignore[import-not-found]
    conv_bwd as causal_conv1d_bwd,
)
from mambaops_kernels.entry import (
    conv_fwd as causal_conv1d_fwd,
)
from mambaops_kernels.entry import (
    conv_update as causal_conv1d_update,
)

__mambaops_kernels__ = True
__all__ = ["causal_conv1d_bwd", "causal_conv1d_fwd", "causal_conv1d_update"]
