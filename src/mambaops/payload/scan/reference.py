"""Mamba's selective scan in plain PyTorch: fast on a CPU, lean everywhere, exact enough to judge kernels.

    h[t] = exp(delta[t] A) h[t-1] + delta[t] B[t] u[t],      y[t] = C[t] h[t] + D u[t],  gated by silu(z)

Only the state at the start of every segment is kept for the backward pass, which recomputes the rest
segment by segment. All arithmetic is float32 inside (float64 for float64 inputs), whatever autocast says.
Works with any PyTorch >= 2.0 on any device.
"""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .work import ScanWork


class _SelectiveScan(torch.autograd.Function):
    """Arguments as `selective_scan`; always returns (out, last_state), both differentiable."""

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        delta: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Optional[Tensor],
        z: Optional[Tensor],
        delta_bias: Optional[Tensor],
        delta_softplus: bool,
    ) -> Tuple[Tensor, Tensor]:
        with torch.autocast(u.device.type, enabled=False):
            work = ScanWork(u, delta, A, B, C, D, z, delta_bias, delta_softplus)
            out, last, starts = work.forward(keep=any(ctx.needs_input_grad))
        ctx.save_for_backward(u, delta, A, B, C, D, z, delta_bias, starts)
        ctx.delta_softplus, ctx.segments = delta_softplus, work.segments
        ctx.set_materialize_grads(False)
        return out, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Optional[Tensor], dlast: Optional[Tensor]) -> Tuple[Any, ...]:
        *inputs, starts = ctx.saved_tensors
        with torch.autocast(inputs[0].device.type, enabled=False):
            work = ScanWork(*(*inputs, ctx.delta_softplus))
            # the kept states belong to these segments, whatever the number of threads is now
            work.segments = ctx.segments
            grads = work.backward(dout, dlast, starts, ctx.needs_input_grad)
        return (*grads, None)


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Optional[Tensor] = None,
    z: Optional[Tensor] = None,
    delta_bias: Optional[Tensor] = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
) -> Any:
    """mamba_ssm's ``selective_scan_fn``, without its kernel.

    Args:
        u: (batch, dim, length), any floating dtype.
        delta: (batch, dim, length); the step, before bias and softplus.
        A: (dim, state), real or complex, with a real part <= 0.
        B: (dim, state) constant, or (batch, state, length), or (batch, groups, state, length); for a
            complex A the variable forms hold real and imaginary parts by turns: (…, 2 * length).
        C: like B.
        D: (dim,), the skip connection.
        z: (batch, dim, length), the gate.
        delta_bias: (dim,).
        delta_softplus: pass delta (with its bias) through softplus.
        return_last_state: also return the state after the last step.

    Returns:
        out (batch, dim, length) in u's dtype; with `return_last_state` also the state
        (batch, dim, state), float32 or complex64. Unlike mamba_ssm's, its gradient is propagated.

    Raises:
        ValueError: shapes that do not fit together.
    """
    out, last = _SelectiveScan.apply(u, delta, A, B, C, D, z, delta_bias, delta_softplus)
    return (out, last) if return_last_state else out


def selective_scan_loop(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Optional[Tensor] = None,
    z: Optional[Tensor] = None,
    delta_bias: Optional[Tensor] = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
) -> Any:
    """The definition, step by step, by plain autograd operations: slow, greedy, and the judge in tests.

    Arguments as `selective_scan`; everything is computed in the dtype that the inputs promote to.
    """
    from . import layout

    sizes = layout.sizes_of(u, delta, A, B, C)
    real = u.dtype if u.dtype in (torch.float32, torch.float64) else torch.float32
    kind = layout.complex_of(real) if A.is_complex() else real
    step = delta.to(real) if delta_bias is None else delta.to(real) + delta_bias[:, None].to(real)
    step = torch.nn.functional.softplus(step) if delta_softplus else step
    b, c = (_over_time(matrix, sizes, kind) for matrix in (B, C))
    h = torch.zeros(u.shape[0], u.shape[1], A.shape[1], dtype=kind, device=u.device)
    ys: List[Tensor] = []
    for dt, x, bt, ct in zip(step.unbind(2), u.to(real).unbind(2), b.unbind(0), c.unbind(0)):
        h = torch.exp(dt[:, :, None] * A.to(kind)) * h + (dt * x)[:, :, None] * bt
        y = (h * ct).sum(-1)
        ys.append(2 * y.real if y.is_complex() else y)
    out = torch.stack(ys, dim=2)
    out = out if D is None else out + u.to(real) * D[:, None].to(real)
    out = out if z is None else out * torch.nn.functional.silu(z.to(real))
    return (out.to(u.dtype), h) if return_last_state else out.to(u.dtype)


def _over_time(matrix: Tensor, sizes: Any, kind: "torch.dtype") -> Tensor:
    """B or C as (length, batch or 1, dim, state)."""
    from . import layout

    if matrix.dim() == 2:
        return matrix.to(kind).expand((sizes.length, 1) + tuple(matrix.shape))
    return layout.per_step(matrix, sizes, kind).repeat_interleave(sizes.heads, dim=2)
