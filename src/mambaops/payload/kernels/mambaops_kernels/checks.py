"""Upstream's checks of arguments, with upstream's words; a refusal is a RuntimeError as TORCH_CHECK's is."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor

# the kind of device that kernels run on; everything else goes to PyTorch before any check
KIND = "cuda"

DTYPES = {
    torch.float32: "fp32",
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
    torch.complex64: "complex64",
}
_MORE = "  (Could this error message be improved?  If so, please report an enhancement request to PyTorch.)"


def check(holds: bool, condition: str) -> None:
    """TORCH_CHECK without words of its own."""
    if not holds:
        raise RuntimeError(f"Expected {condition} to be true, but got false.{_MORE}")


def on_device(**tensors: Tensor) -> None:
    """Every tensor is on a GPU."""
    for name, tensor in tensors.items():
        if tensor.device.type != KIND:
            check(False, f"{name}.is_cuda()")


def shape(name: str, tensor: Tensor, wanted: Sequence[int], words: str) -> None:
    """CHECK_SHAPE; `words` are upstream's, e.g. "batch_size, dim"."""
    if tuple(tensor.shape) != tuple(wanted):
        raise RuntimeError(f"{name} must have shape ({words})")


def last_contiguous(name: str, tensor: Tensor) -> None:
    """The last axis lies close together, or has one element."""
    if not (tensor.stride(-1) == 1 or tensor.size(-1) == 1):
        check(False, f"{name}.stride(-1) == 1 || {name}.size(-1) == 1")
