"""mamba-ssm's compiled module, served by mambaops: upstream's kernels, compiled when they are first used.

Installed as `mambaops-kernels`; `pip uninstall mambaops-kernels` removes it. CPU tensors go to plain PyTorch.
"""

from mambaops_kernels.entry import (  # type: ignore[import-not-found]
    scan_bwd as bwd,
)
from mambaops_kernels.entry import (
    scan_fwd as fwd,
)

__mambaops_kernels__ = True
__all__ = ["bwd", "fwd"]
