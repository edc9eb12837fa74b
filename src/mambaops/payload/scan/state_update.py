"""One decoding step of Mamba and Mamba-2: the state moves on in place, the output comes back."""

from __future__ import annotations

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor


def selective_state_update(
    state: Tensor,
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Optional[Tensor] = None,
    z: Optional[Tensor] = None,
    dt_bias: Optional[Tensor] = None,
    dt_softplus: bool = False,
    state_batch_indices: Optional[Tensor] = None,
) -> Tensor:
    """mamba_ssm's ``selective_state_update``; with four-dimensional `state` the headed form.

    Args:
        state: (batch, dim, dstate) or (batch, heads, dim, dstate); overwritten with the new state.
        x, dt, z: (batch, dim) or (batch, heads, dim).
        A: (dim, dstate) or (heads, dim, dstate).
        B, C: (batch, dstate) or (batch, groups, dstate).
        D, dt_bias: (dim,) or (heads, dim).
        dt_softplus: pass dt (with its bias) through softplus.
        state_batch_indices: (batch,), the row of `state` of each batch row; below zero: no state,
            the output is zero.

    Returns:
        out, in the shape and dtype of x.
    """
    headed = state.unsqueeze(1) if state.dim() == 3 else state
    rows = None if state_batch_indices is None else state_batch_indices.clamp(min=0).long()
    # autograd may still need the old state: give it its own copy where it records
    before = headed.clone() if torch.is_grad_enabled() and rows is None else headed
    before = before if rows is None else headed[rows]
    real = torch.promote_types(torch.promote_types(x.dtype, state.dtype), torch.float32)
    step = _heads(dt, x.dim() == 2).to(real)
    step = step if dt_bias is None else step + _heads(dt_bias, dt_bias.dim() == 1, 0).to(real)
    step = F.softplus(step) if dt_softplus else step
    inputs = _heads(x, x.dim() == 2).to(real)
    b, c = (_grouped(matrix, headed.shape[1]).to(real) for matrix in (B, C))
    decay = torch.exp(step.unsqueeze(-1) * _heads(A, A.dim() == 2, 0).to(real))
    after = before.to(real) * decay + (step * inputs).unsqueeze(-1) * b
    out = (after * c).sum(-1)
    out = out if D is None else out + inputs * _heads(D, D.dim() == 1, 0).to(real)
    out = out if z is None else out * F.silu(_heads(z, z.dim() == 2).to(real))
    if rows is None or state_batch_indices is None:
        headed.copy_(after)
    else:
        live = state_batch_indices >= 0
        headed[rows[live]] = after[live].to(headed.dtype)
        out = out * live[:, None, None]
    return out.reshape(x.shape).to(x.dtype)


def _heads(value: Tensor, missing: bool, at: int = 1) -> Tensor:
    return value.unsqueeze(at) if missing else value


def _grouped(matrix: Tensor, heads: int) -> Tensor:
    """(batch[, groups], dstate) -> (batch, heads, 1, dstate)."""
    matrix = matrix.unsqueeze(1) if matrix.dim() == 2 else matrix
    if heads % matrix.shape[1]:
        raise ValueError(f"{heads} heads are not divisible by {matrix.shape[1]} groups of B or C")
    return matrix.repeat_interleave(heads // matrix.shape[1], dim=1).unsqueeze(2)
