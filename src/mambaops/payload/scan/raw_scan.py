"""`selective_scan_cuda`'s two functions, argument for argument, in plain PyTorch.

All releases of mamba-ssm (1.0 to 2.3.2) call them alike. What the kernel keeps for its backward pass in
`x` differs: ours holds the state at the start of every segment, then the last state, in the odd places
where callers look for it.
"""

from __future__ import annotations

from typing import List, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from .work import ScanWork


def fwd(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Optional[Tensor],
    z: Optional[Tensor],
    delta_bias: Optional[Tensor],
    delta_softplus: bool,
) -> List[Tensor]:
    """[out before the gate, x] and, with `z`, the gated out; shapes as `selective_scan`.

    x: (batch, dim, segments + 1, 2 * state); ``x[:, :, -1, 1::2]`` is the last state.
    """
    with torch.no_grad(), torch.autocast(u.device.type, enabled=False):
        work = ScanWork(u, delta, A, B, C, D, None, delta_bias, delta_softplus)
        out, last, starts = work.forward(keep=True)
        x = _pack(work, starts, last)
        if z is None:
            return [out, x]
        return [out, x, (out.to(work.real) * F.silu(z.to(work.real))).to(z.dtype)]


def bwd(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Optional[Tensor],
    z: Optional[Tensor],
    delta_bias: Optional[Tensor],
    dout: Tensor,
    x: Optional[Tensor],
    out: Optional[Tensor],
    dz: Optional[Tensor],
    delta_softplus: bool,
    recompute_out_z: bool,
) -> List[Optional[Tensor]]:
    """[du, ddelta, dA, dB, dC, dD, ddelta_bias] and, with `z`, dz (written to `dz` if given), and,
    if asked for, the gated out again."""
    with torch.no_grad(), torch.autocast(u.device.type, enabled=False):
        work = ScanWork(u, delta, A, B, C, D, z, delta_bias, delta_softplus)
        needs = [value is not None for value in (u, delta, A, B, C, D, z, delta_bias)]
        grads = work.backward(dout, None, _unpack(work, x), needs)
        du, ddelta, dA, dB, dC, dD, dgate, dbias = grads
        result = [du, ddelta, dA, dB, dC, dD, dbias]
        if z is not None:
            result.append(dgate if dz is None else dz.copy_(dgate))
        if recompute_out_z and out is not None and z is not None:
            result.append((out.to(work.real) * F.silu(z.to(work.real))).to(out.dtype))
    return result


def _pack(work: ScanWork, starts: Optional[Tensor], last: Tensor) -> Tensor:
    """Segment starts (segment, batch, group, state, head) and the last state, as the kernel's `x`."""
    assert starts is not None
    batch, dim, state = last.shape
    x = torch.zeros(
        batch, dim, starts.shape[0] + 1, 2 * state, dtype=last.dtype, device=last.device
    )
    x[:, :, :-1, 1::2] = starts.permute(1, 2, 4, 0, 3).reshape(batch, dim, -1, state)
    x[:, :, -1, 1::2] = last
    return x


def _unpack(work: ScanWork, x: Optional[Tensor]) -> Tensor:
    """`_pack` undone; an `x` that is not ours (or none) is made anew by a forward sweep."""
    sizes, count = work.sizes, len(work.segments)
    if x is None or x.shape[2] != count + 1:
        starts = work.forward(keep=True)[2]
        assert starts is not None
        return starts
    kept = x[:, :, :-1, 1::2].reshape(sizes.batch, sizes.groups, sizes.heads, count, sizes.state)
    return kept.permute(3, 0, 1, 4, 2).to(work.kind).contiguous()
