"""`causal_conv1d_update`: a step of decoding, where every microsecond of the host counts."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import torch
from torch import Tensor

from . import launch, quick
from .checks import DTYPES, check, on_device, shape
from .conv_checks import (
    NO_STATES,
    check_bias,
    check_integers,
    check_types,
    check_width,
    sizes,
    wrong_count,
)
from .conv_struct import FORWARD_FIELDS, numbers

# x, state, weight, bias, out, silu, sequence lengths, indices of states
_Update = Tuple[
    Tensor, Tensor, Tensor, Optional[Tensor], Tensor, bool, Optional[Tensor], Optional[Tensor]
]


# place among the arguments of 1.5.1, and the field of the address
_ADDRESSES = (
    (0, "x_ptr"), (2, "weight_ptr"), (3, "bias_ptr"), (4, "out_ptr"), (1, "conv_state_ptr"), (6, "cache_seqlens"),
    (7, "conv_state_indices_ptr"),
)  # fmt: skip
_SILU = 5


def again(args: Tuple[Any, ...]) -> bool:
    """Whether it was one of the calls that were made before with tensors alike, and is launched again."""
    return len(args) == 8 and quick.again(_SILU, args)


def causal_conv1d_update(*args: Any) -> Optional[Tensor]:
    """Decoding steps; the state moves on in place. From 1.5.1 on the output is written to `out`.

    Raises:
        As `causal_conv1d_fwd`.
    """
    x, state, weight, bias = args[:4]
    if len(args) == 8:
        _update(x, state, weight, bias, *args[4:])
        return None
    if len(args) == 5:
        # one step without an axis of time, and a state of the whole width
        batch, dim = x.shape[:2]
        shape("x", x, (batch, dim), "batch_size, dim")
        shape("conv_state", state, (batch, dim, weight.shape[-1]), "batch_size, dim, width")
        out = torch.empty_like(x)
        _update(x.unsqueeze(-1), state, weight, bias, out.unsqueeze(-1), args[4], None, None)
        return out
    if len(args) not in (6, 7):
        raise wrong_count("causal_conv1d_update", len(args), "5, 6, 7 or 8")
    silu, seqlens, indices = (*args[4:], None)[:3]
    out = torch.empty_like(x)
    _update(x, state, weight, bias, out, silu, seqlens, indices)
    return out


def _update(
    x: Tensor,
    state: Tensor,
    weight: Tensor,
    bias: Optional[Tensor],
    out: Tensor,
    silu: bool,
    seqlens: Optional[Tensor],
    indices: Optional[Tensor],
) -> None:
    # decoding calls it again and again with the same sizes: what was found about them is kept
    seen = (
        "conv_update", silu, x.dtype, x.shape, x.stride(), x.get_device(), state.dtype, state.shape, state.stride(),
        state.get_device(), weight.dtype, weight.shape, weight.stride(), weight.get_device(), out.stride(),
        None if bias is None else (bias.dtype, bias.shape, bias.stride(), bias.get_device()),
        None if seqlens is None else (seqlens.dtype, seqlens.shape, seqlens.stride(), seqlens.get_device()),
        None if indices is None else (indices.dtype, indices.shape, indices.stride(), indices.get_device()),
    )  # fmt: skip
    plan = launch.PLANS.get(seen)
    if plan is None:
        plan = _plan_update((x, state, weight, bias, out, silu, seqlens, indices))
        launch.keep(seen, plan)
    pointers = (
        x.data_ptr(),
        weight.data_ptr(),
        0 if bias is None else bias.data_ptr(),
        out.data_ptr(),
        state.data_ptr(),
        0 if seqlens is None else seqlens.data_ptr(),
        0 if indices is None else indices.data_ptr(),
    )
    plan.launch(pointers, (x, state, weight, bias, out, seqlens, indices))
    given = (x, state, weight, bias, out, silu, seqlens, indices)
    quick.remember(plan, _SILU, given, _ADDRESSES)


def _plan_update(given: _Update) -> launch.Plan:
    """The checks, and all that is launched but the addresses."""
    x, state, weight, bias, out, silu, seqlens, indices = given
    check_types(x, weight)
    if state.dtype != x.dtype:
        check(False, "conv_state.scalar_type() == input_type")
    on_device(x=x, conv_state=state, weight=weight)
    batch, dim, _length, width = x.size(0), x.size(1), x.size(2), weight.size(-1)
    kept = state.size(2)
    check(kept >= width - 1, "conv_state_len >= width - 1")
    call = sizes(x, weight)
    check_width(call)
    check_bias(bias, weight, call)
    entries = batch
    if indices is not None:
        check_integers("conv_state_indices", indices, "stride(0)", indices.stride(0), batch)
        entries = state.size(0)
    words = "conv_state_entries" if indices is not None else "batch_size"
    shape("conv_state", state, (entries, dim, kept), f"{words}, dim, conv_state_len")
    if seqlens is not None:
        check_integers("cache_seqlens", seqlens, "stride(-1)", seqlens.stride(-1), batch)
    head = numbers(call, x, weight, out, silu, (kept, *state.stride()))
    tail = (0, *NO_STATES, *NO_STATES)
    device = max(x.get_device(), 0)
    types = (width, DTYPES[x.dtype], DTYPES[weight.dtype])
    kernel = launch.ready(device, "conv_update", (seqlens is not None, *types), FORWARD_FIELDS)
    grid = (batch, (dim + kernel.threads - 1) // kernel.threads, 1)
    return launch.Plan(kernel, device, grid, head, tail)
