"""VMamba's compiled module of this name, served by mambaops: its kernels, compiled when they are first used.

Installed as `mambaops-kernels` where VMamba's sources were given. CPU tensors go to plain PyTorch.
"""

from mambaops_kernels.vmamba_entry import functions  # type: ignore[import-not-found]

fwd, bwd = functions("core")

__mambaops_kernels__ = True
__all__ = ["bwd", "fwd"]
