"""Mamba-2's scan in its chunked form: inside a chunk a masked matrix product, between chunks a recurrence.

The decay from one position to another is summed directly over the positions between them and masked
before the exponential, so nothing is divided and no large numbers are subtracted.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

# Measured best on a CPU (docs/benchmarks-scan.md); the result does not depend on it.
_CPU_CHUNK = 64


def chunk_scan_combined(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    chunk_size: int,
    D: Optional[Tensor] = None,
    z: Optional[Tensor] = None,
    dt_bias: Optional[Tensor] = None,
    initial_states: Optional[Tensor] = None,
    seq_idx: Optional[Tensor] = None,
    dt_softplus: bool = False,
    dt_limit: Tuple[float, float] = (0.0, float("inf")),
    return_final_states: bool = False,
) -> Any:
    """mamba_ssm's ``mamba_chunk_scan_combined`` in plain PyTorch.

    Args:
        x: (batch, length, heads, head_dim).
        dt: (batch, length, heads).
        A: (heads,), <= 0.
        B, C: (batch, length, groups, state).
        chunk_size: a wish; on a CPU a smaller one is faster and is taken.
        D: (heads,) or (heads, head_dim).
        z: (batch, length, heads, head_dim), the gate.
        dt_bias: (heads,).
        initial_states: (batch, heads, head_dim, state).
        seq_idx: (batch, length): a packed row; no state passes from one sequence into the next.
        dt_limit: dt is clamped to this range after bias and softplus.

    Returns:
        out (batch, length, heads, head_dim) in x's dtype[, final state (batch, heads, head_dim, state)].
    """
    with torch.autocast(x.device.type, enabled=False):
        real = torch.float64 if torch.float64 in (x.dtype, A.dtype) else torch.float32
        step = dt.to(real) if dt_bias is None else dt.to(real) + dt_bias.to(real)
        step = F.softplus(step) if dt_softplus else step
        if dt_limit != (0.0, float("inf")):
            step = step.clamp(min=dt_limit[0], max=dt_limit[1])
        size = min(chunk_size, _CPU_CHUNK) if x.device.type == "cpu" else chunk_size
        out, final = _scan(
            x.to(real), step, A.to(real), B.to(real), C.to(real), size, initial_states, seq_idx
        )
        if D is not None:
            out = out + x.to(real) * (D.to(real).unsqueeze(-1) if D.dim() == 1 else D.to(real))
        if z is not None:
            out = out * F.silu(z.to(real))
    return (out.to(x.dtype), final) if return_final_states else out.to(x.dtype)


class _Chunks(NamedTuple):
    """Everything by chunk, (batch, chunk, head or group, position, …)."""

    x: Tensor
    decay: Tensor
    B: Tensor
    C: Tensor
    owner: Optional[Tensor]


def _scan(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    size: int,
    initial_states: Optional[Tensor],
    seq_idx: Optional[Tensor],
) -> Tuple[Tensor, Tensor]:
    batch, length, heads, head_dim = x.shape
    size = max(1, min(size, length))
    count = -(-length // size)
    x, step = (_by_chunk(t, size, count) for t in (x * dt.unsqueeze(-1), (dt * A).unsqueeze(-1)))
    b, c = (_by_chunk(t, size, count) for t in (B, C))
    owner = None
    if seq_idx is not None:
        # padding at the end belongs to the last sequence: it must not cut the final state off
        padded = F.pad(seq_idx[:, None].float(), (0, count * size - length), mode="replicate")
        owner = padded.view(batch, count, 1, size)
    chunks = _Chunks(x, step.squeeze(-1), b, c, owner)
    out, final = _between_chunks(chunks, initial_states)
    out = out.permute(0, 1, 3, 2, 4).reshape(batch, count * size, heads, head_dim)
    return out[:, :length], final


def _by_chunk(t: Tensor, size: int, count: int) -> Tensor:
    """(batch, length, h, d) -> (batch, chunk, h, position, d), padded with zeros (dt = 0: no effect)."""
    t = F.pad(t, (0, 0, 0, 0, 0, count * size - t.shape[1]))
    return t.reshape((t.shape[0], count, size) + tuple(t.shape[2:])).transpose(2, 3).contiguous()


def _between_chunks(chunks: _Chunks, initial_states: Optional[Tensor]) -> Tuple[Tensor, Tensor]:
    x, decay, B, C, owner = chunks
    groups, per_group = B.shape[2], x.shape[2] // B.shape[2]
    inside = torch.exp(_segment_sums(decay))
    total = decay.cumsum(-1)
    from_start, to_end = torch.exp(total), inside[..., -1, :]
    if owner is not None:
        inside = inside * (owner.unsqueeze(-1) == owner.unsqueeze(-2))
        to_end = to_end * (owner == owner[..., -1:])
    # inside a chunk: scores per group, decays per head
    scores = (C @ B.transpose(-1, -2)).repeat_interleave(per_group, dim=2)
    out = (scores * inside) @ x
    # what each chunk adds to the state: (batch, chunk, head, head_dim, state)
    added = (x * to_end.unsqueeze(-1)).transpose(-1, -2) @ B.repeat_interleave(per_group, dim=2)
    heads_C = C.repeat_interleave(per_group, dim=2) if groups > 1 else C
    state = (
        torch.zeros_like(added[:, 0]) if initial_states is None else initial_states.to(added.dtype)
    )
    carried = []
    for k in range(x.shape[1]):
        reach = from_start[:, k]
        if owner is not None:
            # what is carried belongs to the sequence that was last; a given state to the first
            carrier = owner[:, k - 1, :, -1:] if k else owner[:, 0, :, :1]
            reach = reach * (owner[:, k] == carrier)
        carried.append((heads_C[:, k] * reach.unsqueeze(-1)) @ state.transpose(-1, -2))
        state = state * reach[..., -1, None, None] + added[:, k]
    return out + torch.stack(carried, dim=1), state


def _segment_sums(decay: Tensor) -> Tensor:
    """S[i, j] = sum of decay over j < t <= i, -inf above the diagonal; (…, n) -> (…, n, n)."""
    n = decay.shape[-1]
    up_to = torch.ones(n, n, dtype=torch.bool, device=decay.device).tril()
    spread = decay.unsqueeze(-1).expand(tuple(decay.shape) + (n,)).masked_fill(~up_to.tril(-1), 0)
    return spread.cumsum(-2).masked_fill(~up_to, -float("inf"))
