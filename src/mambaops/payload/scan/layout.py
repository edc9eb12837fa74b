"""mamba_ssm's layouts turned into the one that the scan works in, and back.

mamba_ssm hands over (batch, dim, length), with `dim` = groups × heads-of-the-group. The scan works on
(time, batch, group, state, head): one time step is one contiguous block, and the innermost axis is as
long as can be, which is what vectorised loops want.
"""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

import torch
from torch import Tensor


class Sizes(NamedTuple):
    """Names of the axes: ``dim = groups * heads``; `state` counts complex numbers if A is complex."""

    batch: int
    length: int
    groups: int
    heads: int
    state: int


def sizes_of(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Sizes:
    """The sizes that the arguments of `selective_scan` agree on.

    Raises:
        ValueError: they do not agree; the message names the argument, its shape and the wanted one.
    """
    if u.dim() != 3:
        raise ValueError(f"u must be (batch, dim, length), got {tuple(u.shape)}")
    batch, dim, length = u.shape
    if delta.shape != u.shape:
        raise ValueError(f"delta must have u's shape {tuple(u.shape)}, got {tuple(delta.shape)}")
    if A.dim() != 2 or A.shape[0] != dim:
        raise ValueError(f"A must be ({dim}, state), got {tuple(A.shape)}")
    state = A.shape[1]
    groups = max(_groups_of(B), _groups_of(C))
    if dim % groups:
        raise ValueError(f"dim {dim} is not divisible by the {groups} groups of B and C")
    for name, value in (("B", B), ("C", C)):
        _check_input_matrix(name, value, A, (batch, length))
    return Sizes(batch, length, groups, dim // groups, state)


def _groups_of(matrix: Tensor) -> int:
    return matrix.shape[1] if matrix.dim() == 4 else 1


def _check_input_matrix(name: str, value: Tensor, A: Tensor, run: Tuple[int, int]) -> None:
    dim, state = A.shape
    batch, length = run
    if value.dim() == 2:
        wanted: Tuple[int, ...] = (dim, state)
    else:
        last = 2 * length if A.is_complex() else length
        wanted = (batch,) + tuple(value.shape[1:-2]) + (state, last)
    if value.dim() not in (2, 3, 4) or tuple(value.shape) != wanted:
        raise ValueError(f"{name} must be {wanted} for this u and A, got {tuple(value.shape)}")


def working_dtype(*tensors: Optional[Tensor]) -> "torch.dtype":
    """float64 where any argument is double (gradcheck), else float32."""
    double = (torch.float64, torch.complex128)
    return (
        torch.float64
        if any(t is not None and t.dtype in double for t in tensors)
        else torch.float32
    )


def complex_of(dtype: "torch.dtype") -> "torch.dtype":
    return torch.complex128 if dtype == torch.float64 else torch.complex64


def per_channel(matrix: Tensor, sizes: Sizes, dtype: "torch.dtype") -> Tensor:
    """(dim, state) -> (group, state, head)."""
    return matrix.to(dtype).reshape(sizes.groups, sizes.heads, -1).transpose(1, 2).contiguous()


def from_per_channel(value: Tensor, like: Tensor) -> Tensor:
    """(group, state, head) -> (dim, state), in the dtype of `like`."""
    return value.transpose(1, 2).reshape(like.shape).to(like.dtype)


def per_step(matrix: Tensor, sizes: Sizes, dtype: "torch.dtype") -> Tensor:
    """(batch[, group], state, length[ * 2]) -> (length, batch, group, state).

    With a complex `dtype` the last axis holds real and imaginary parts by turns.
    """
    if matrix.dim() == 3:
        matrix = matrix.unsqueeze(1)
    if dtype.is_complex:
        real = torch.float64 if dtype == torch.complex128 else torch.float32
        matrix = torch.view_as_complex(
            matrix.to(real).reshape(tuple(matrix.shape[:-1]) + (sizes.length, 2)).contiguous()
        )
    steps = matrix.to(dtype).permute(3, 0, 1, 2).contiguous()
    if steps.shape[2] != sizes.groups:
        steps = steps.repeat_interleave(sizes.groups // steps.shape[2], dim=2)
    return steps


def from_per_step(value: Tensor, like: Tensor) -> Tensor:
    """(length, batch, group, state) -> the shape and dtype of `like`, summed over repeated groups."""
    groups = _groups_of(like)
    length, batch, _, state = value.shape
    if value.shape[2] != groups:
        value = value.reshape(length, batch, groups, -1, state).sum(3)
    value = value.permute(1, 2, 3, 0)
    if value.is_complex():
        value = torch.view_as_real(value.resolve_conj().contiguous())
    return value.reshape(like.shape).to(like.dtype)
