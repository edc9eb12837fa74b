"""causal_conv1d's two functions in plain PyTorch: a depthwise convolution that sees only the past.

Arithmetic is float32 (float64 for float64 inputs) whatever autocast says, as in the kernels.
"""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .layout import working_dtype

_ACTIVATIONS = (None, "silu", "swish")


def causal_conv1d_fn(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    seq_idx: Optional[Tensor] = None,
    initial_states: Optional[Tensor] = None,
    return_final_states: bool = False,
    final_states_out: Optional[Tensor] = None,
    activation: Optional[str] = None,
) -> Any:
    """causal_conv1d's ``causal_conv1d_fn``.

    Args:
        x: (batch, dim, length).
        weight: (dim, width), any width >= 1.
        bias: (dim,).
        seq_idx: (batch, length) integers: a packed row; taps do not reach into another sequence, and
            where it is below zero (padding) the output is zero.
        initial_states: (batch, dim, width - 1), what came before x.
        return_final_states: also return the last ``width - 1`` inputs (not with `seq_idx`).
        final_states_out: (batch, dim, width - 1), written to instead of a new tensor.
        activation: None, "silu" or "swish".

    Returns:
        out (batch, dim, length) in x's dtype[, final_states].

    Raises:
        NotImplementedError: another activation, as causal_conv1d does.
        ValueError: shapes that do not fit, or `seq_idx` together with `return_final_states`.
    """
    _check(x, weight, activation)
    if seq_idx is not None and return_final_states:
        raise ValueError("final states are not defined for packed rows (seq_idx)")
    with torch.autocast(x.device.type, enabled=False):
        past = with_past(x, weight.shape[1], initial_states)
        if seq_idx is None:
            out = _taps(past, weight, bias, x.shape[-1])
        else:
            out = _packed_taps(past, weight, bias, seq_idx, initial_states is not None)
        out = (out if activation is None else F.silu(out)).to(x.dtype)
    if not return_final_states:
        return out
    final = past[..., past.shape[-1] - (weight.shape[1] - 1) :].to(x.dtype)
    if final_states_out is not None:
        final_states_out.copy_(final)
        return out, final_states_out
    return out, final


def _check(x: Tensor, weight: Tensor, activation: Optional[str]) -> None:
    if activation not in _ACTIVATIONS:
        raise NotImplementedError(f"activation must be None, silu, or swish, got {activation!r}")
    if weight.dim() != 2 or x.dim() != 3 or x.shape[1] != weight.shape[0]:
        raise ValueError(
            "x must be (batch, dim, length) and weight (dim, width), "
            f"got {tuple(x.shape)} and {tuple(weight.shape)}"
        )


def with_past(x: Tensor, width: int, initial_states: Optional[Tensor]) -> Tensor:
    """x with ``width - 1`` earlier inputs before it: (batch, dim, width - 1 + length)."""
    if initial_states is None:
        return F.pad(x, (width - 1, 0))
    return torch.cat([initial_states.to(x.dtype), x], dim=-1)


def _taps(past: Tensor, weight: Tensor, bias: Optional[Tensor], length: int) -> Tensor:
    kind = working_dtype(past, weight)
    if length == 0:
        return past[..., :0].to(kind)
    full = None if bias is None else bias.to(kind)
    return F.conv1d(past.to(kind), weight.to(kind).unsqueeze(1), full, groups=weight.shape[0])


def _packed_taps(
    past: Tensor, weight: Tensor, bias: Optional[Tensor], seq_idx: Tensor, continued: bool
) -> Tensor:
    """Like `_taps`, every tap masked where it would reach into another sequence."""
    kind, length = working_dtype(past, weight), seq_idx.shape[1]
    out = torch.zeros((), dtype=kind, device=past.device)
    for k, same in enumerate(tap_masks(seq_idx, weight.shape[1], continued)):
        out = out + past[..., k : k + length].to(kind) * same * weight[:, k, None].to(kind)
    out = out if bias is None else out + bias.to(kind)[:, None]
    return out.masked_fill((seq_idx < 0).unsqueeze(1), 0)


def tap_masks(seq_idx: Tensor, width: int, continued: bool) -> List[Tensor]:
    """For each tap (batch, 1, length): does it stay inside its sequence?

    What came before belongs to the first sequence if it was given (`continued`), to none otherwise.
    """
    length = seq_idx.shape[1]
    first = seq_idx[:, :1] if continued else torch.full_like(seq_idx[:, :1], -1)
    owner = torch.cat([first.expand(-1, width - 1), seq_idx], dim=1)
    return [(owner[:, k : k + length] == seq_idx).unsqueeze(1) for k in range(width)]


def causal_conv1d_update(
    x: Tensor,
    conv_state: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    activation: Optional[str] = None,
    cache_seqlens: Optional[Tensor] = None,
    conv_state_indices: Optional[Tensor] = None,
) -> Tensor:
    """causal_conv1d's ``causal_conv1d_update``: some decoding steps; `conv_state` moves on in place.

    Args:
        x: (batch, dim) or (batch, dim, steps).
        conv_state: (batch or more, dim, state_len), ``state_len >= width - 1``.
        weight, bias, activation: as `causal_conv1d_fn`.
        cache_seqlens: (batch,): `conv_state` is a circular buffer, written at this position.
        conv_state_indices: (batch,): the row of `conv_state` of each batch row; below zero: no state
            (padding), the output is zero.

    Returns:
        out, in the shape and dtype of x.
    """
    steps = x.unsqueeze(-1) if x.dim() == 2 else x
    _check(steps, weight, activation)
    rows: Any = slice(None)
    live: Any = slice(None)
    if conv_state_indices is not None:
        live = conv_state_indices >= 0
        rows = conv_state_indices[live].long()
    position = None if cache_seqlens is None else cache_seqlens[live]
    done = _advance(steps[live], conv_state, rows, position, (weight, bias, activation))
    if conv_state_indices is None:
        return done.reshape(x.shape)
    out = torch.zeros_like(steps)
    out[live] = done
    return out.reshape(x.shape)


def _advance(
    x: Tensor, conv_state: Tensor, rows: Any, position: Optional[Tensor], filters: Tuple[Any, ...]
) -> Tensor:
    weight, bias, activation = filters
    back, state_len = weight.shape[1] - 1, conv_state.shape[-1]
    before = conv_state[rows].clone()
    if position is None:
        after = torch.cat([before, x.to(before.dtype)], dim=-1)
        conv_state[rows] = after[..., after.shape[-1] - state_len :].detach()
        past = before[..., state_len - back :]
    else:
        start = position.long()[:, None]
        past = before.gather(2, _ring(start - back, back, before))
        place = _ring(start, x.shape[-1], before)
        conv_state[rows] = before.scatter(2, place, x.detach().to(before.dtype))
    return causal_conv1d_fn(x, weight, bias, initial_states=past, activation=activation)


def _ring(start: Tensor, count: int, state: Tensor) -> Tensor:
    """Positions start … start + count - 1 in a circular buffer, for every channel."""
    at = start + torch.arange(count, device=state.device)
    return torch.remainder(at, state.shape[-1]).unsqueeze(1).expand(-1, state.shape[1], -1)
