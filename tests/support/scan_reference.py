"""The selective scan and the causal convolution in float64, step by step, with gradients by autograd."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# half a unit in the last place, relative
ROUNDING = {torch.float32: 0.0, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    softplus: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """(out, last state, gated out); shapes as `selective_scan_cuda.fwd` takes them."""
    if delta_bias is not None:
        delta = delta + delta_bias[:, None]
    if softplus:
        delta = F.softplus(delta, threshold=1e9)
    steps_B, steps_C = (_steps(one, A, u.shape) for one in (B, C))
    state = torch.zeros((*u.shape[:2], A.shape[1]), dtype=A.dtype)
    outs = []
    decay = torch.exp(delta[..., None] * A[None, :, None])
    for step in range(u.shape[2]):
        drive = (delta[:, :, step] * u[:, :, step])[..., None] * steps_B[:, :, step]
        state = decay[:, :, step] * state + drive
        outs.append((state * steps_C[:, :, step]).sum(-1))
    out = torch.stack(outs, -1)
    out = 2 * out.real if A.is_complex() else out
    if D is not None:
        out = out + D[:, None] * u
    return out, state, None if z is None else out * F.silu(z)


def _steps(matrix: Tensor, A: Tensor, shape: Any) -> Tensor:
    """(batch, dim, length, state)"""
    batch, dim, length = shape
    if matrix.dim() == 2:
        return matrix[None, :, None].expand(batch, dim, length, -1)
    if A.is_complex():
        matrix = torch.view_as_complex(matrix.unflatten(-1, (length, 2)))
    return matrix.repeat_interleave(dim // matrix.shape[1], 1).transpose(2, 3)


def convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    silu: bool,
    seq_idx: Tensor | None = None,
    initial: Tensor | None = None,
) -> Tensor:
    """x: (batch, dim, length); a step sees only steps of its own sequence; one with a negative number gives 0."""
    batch, dim, length = x.shape
    width = weight.shape[1]
    before = x.new_zeros(batch, dim, width - 1) if initial is None else initial
    padded = torch.cat([before, x], -1)
    numbers = None
    if seq_idx is not None:
        first = seq_idx[:, :1] if initial is not None else torch.full_like(seq_idx[:, :1], -1)
        numbers = torch.cat([first.expand(-1, width - 1), seq_idx], 1)
    out = x.new_zeros(batch, dim, length)
    for tap in range(width):
        term = weight[:, tap, None] * padded[..., tap : tap + length]
        if numbers is not None:
            same = numbers[:, tap : tap + length] == numbers[:, width - 1 :]
            term = term * same[:, None]
        out = out + term
    if bias is not None:
        out = out + bias[:, None]
    out = F.silu(out) if silu else out
    return out if seq_idx is None else out * (seq_idx >= 0)[:, None]
