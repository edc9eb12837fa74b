"""`causal_conv1d_cuda`'s three functions, for every generation of their callers: upstream's checks and kernels.

The compiled functions changed their arguments three times; the number of arguments tells which:

    fwd      4: x, weight, bias, silu                              causal-conv1d 1.0
             5: … seq_idx, silu                                    1.1
             7: … seq_idx, initial, final_out, silu                1.2 - 1.5.0
             8: … seq_idx, initial, out, final_out, silu           1.5.1 on; writes to out
    bwd      6, 7, 10, 12 likewise
    update   5: x, state, weight, bias, silu                       1.0 - 1.3; x is (batch, dim)
             6, 7: … cache_seqlens[, state_indices]                1.4, 1.5.0
             8: x, state, weight, bias, out, silu, cache_seqlens, state_indices   1.5.1 on

Shapes: x, out (batch, dim, length); weight (dim, width); bias (dim); seq_idx (batch, length) int32; initial and
final states (batch, dim, width - 1); conv_state (batch, dim, at least width - 1).
"""

from __future__ import annotations

import os
from typing import Any, List, Optional, Tuple

import torch
from torch import Tensor

from . import launch, repairs
from .checks import DTYPES, check, on_device, shape
from .conv_checks import (
    NO_STATES,
    Call,
    check_bias,
    check_dx,
    check_eights,
    check_layout,
    check_multiples,
    check_seq_idx,
    check_strides,
    check_types,
    check_width,
    sizes,
    states_of,
    wrong_count,
)
from .conv_struct import (
    BACKWARD_FIELDS,
    FORWARD_FIELDS,
    backward_values,
    forward_values,
    workspace_values,
)
from .rules import backward_chunk, conv_vectors
from .sources import installed


def causal_conv1d_fwd(*args: Any) -> Optional[Tensor]:
    """The convolution's output (batch, dim, length); from 1.5.1 on it is written to `out`.

    Raises:
        RuntimeError: arguments that upstream refuses, in its words.
        KernelError: the kernel cannot be had or launched.
    """
    x, weight, bias = args[:3]
    if len(args) == 8:
        seq_idx, initial, out, final = args[3:7]
        _forward(x, weight, bias, seq_idx, initial, out, final, args[7])
        return None
    if len(args) == 7:
        seq_idx, initial, final = args[3:6]
    elif len(args) in (4, 5):
        seq_idx, initial, final = (args[3] if len(args) == 5 else None), None, None
    else:
        raise wrong_count("causal_conv1d_fwd", len(args), "4, 5, 7 or 8")
    return _forward(x, weight, bias, seq_idx, initial, None, final, args[-1])


def _forward(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor],
    seq_idx: Optional[Tensor],
    initial: Optional[Tensor],
    out: Optional[Tensor],
    final: Optional[Tensor],
    silu: bool,
) -> Tensor:
    check_types(x, weight)
    on_device(x=x, weight=weight)
    call = sizes(x, weight)
    check_layout(x, call)
    check_width(call)
    check_bias(bias, weight, call)
    check_seq_idx(seq_idx, call, "seq_idx is only supported for channel last layout")
    if out is None:
        out = torch.empty_like(x)
    states = states_of("initial_states", initial, x, call) + states_of(
        "final_states", final, x, call
    )
    if call.channel_last and not repairs.all_aligned(x, initial, out, final):
        x, initial, *own = repairs.copied("causal_conv1d_fwd", x, initial, out, final)
        _forward(x, weight, bias, seq_idx, initial, own[0], own[1], silu)
        repairs.write((out, own[0]), (final, own[1]))
        return out
    values = forward_values(call, x, weight, bias, out, silu)
    values += (0 if seq_idx is None else seq_idx.data_ptr(), *states)
    family, instance = "conv_fwd", vectors(call, x, out)
    if call.channel_last:
        family, instance = "conv_fwd_channel_last", (seq_idx is not None,)
    tensors = (x, weight, bias, seq_idx, initial, out, final)
    _launch(family, instance, tensors, values, FORWARD_FIELDS, call)
    return out


def causal_conv1d_bwd(*args: Any) -> Optional[List[Optional[Tensor]]]:
    """[dx, dweight, dbias], from 1.2 on also dinitial; from 1.5.1 on they are written to arguments.

    Raises:
        As `causal_conv1d_fwd`.
    """
    x, weight, bias, dout = args[:4]
    if len(args) == 12:
        seq_idx, initial, dfinal = args[4:7]
        _backward(x, weight, bias, dout, seq_idx, initial, dfinal, args[7:11], args[11])
        return None
    seq_idx, initial, dfinal, dinitial = None, None, None, None
    if len(args) == 6:
        dx = args[4]
    elif len(args) == 7:
        seq_idx, dx = args[4:6]
    elif len(args) == 10:
        seq_idx, initial, dfinal, dx = args[4:8]
        if args[8]:
            batch, dim, width = x.shape[0], x.shape[1], weight.shape[-1]
            dinitial = x.new_empty((batch, width - 1, dim)).transpose(1, 2)
    else:
        raise wrong_count("causal_conv1d_bwd", len(args), "6, 7, 10 or 12")
    dx = torch.empty_like(x) if dx is None else dx
    dweight = torch.zeros_like(weight, dtype=torch.float32)
    dbias = None if bias is None else torch.zeros_like(bias, dtype=torch.float32)
    targets = (dx, dweight, dbias, dinitial)
    _backward(x, weight, bias, dout, seq_idx, initial, dfinal, targets, args[-1])
    done = [dx, dweight.to(weight.dtype), None if dbias is None else dbias.to(bias.dtype)]
    return [*done, dinitial] if len(args) == 10 else done


def _backward(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor],
    dout: Tensor,
    seq_idx: Optional[Tensor],
    initial: Optional[Tensor],
    dfinal: Optional[Tensor],
    targets: Tuple[Any, ...],
    silu: bool,
) -> None:
    dx, dweight, dbias, dinitial = targets
    check_types(x, weight)
    on_device(x=x, weight=weight, dout=dout)
    check((bias is None) == (dbias is None), "bias_.has_value() == dbias_.has_value()")
    call = sizes(x, weight, width_first=True)
    shape("dout", dout, (call.batch, call.dim, call.length), "batch_size, dim, seqlen")
    check_strides(x)
    if not call.channel_last and dout.stride(2) != 1:
        dout = dout.contiguous()
    if call.channel_last and dout.stride(1) != 1:
        dout = dout.transpose(-1, -2).contiguous().transpose(-1, -2)
    check_multiples(x, call)
    if call.channel_last:
        check_eights("dout", dout)
    check_bias(bias, weight, call)
    check_seq_idx(seq_idx, call, "seq_idx only supported for channel last layout")
    check_dx(dx, x, call)
    before = states_of("initial_states", initial, x, call)
    after = states_of("dfinal_states", dfinal, x, call, close=False)
    if call.channel_last and not repairs.all_aligned(x, dout, initial, dx, dinitial):
        x, dout, initial, *own = repairs.copied("causal_conv1d_bwd", x, dout, initial, dx, dinitial)
        into = (own[0], dweight, dbias, own[1])
        _backward(x, weight, bias, dout, seq_idx, initial, dfinal, into, silu)
        repairs.write((dx, own[0]), (dinitial, own[1]))
        return
    steps = 0
    if silu and not call.channel_last:
        steps = repairs.missing_steps(call.length, x.element_size())
    if steps:
        x, dout, own_dx = repairs.longer(call.length, steps, x, dout, dx)
        into = (own_dx, dweight, dbias, dinitial)
        _backward(x, weight, bias, dout, seq_idx, initial, dfinal, into, silu)
        dx.copy_(own_dx[..., : call.length])
        return
    if dfinal is not None and dinitial is not None and call.length < call.width - 1:
        dfinal = repairs.with_room(dfinal)
        after = states_of("dfinal_states", dfinal, x, call, close=False)
    deterministic = _deterministic()
    era = installed().era("conv_bwd")
    length = backward_chunk(call.length, era)
    spaces = _workspaces(call, x, dbias is not None, length) if deterministic else (None, None)
    values = forward_values(call, x, weight, bias, dout, silu)
    values += (0 if seq_idx is None else seq_idx.data_ptr(), *before, *NO_STATES)
    values += backward_values(call, dx, dweight, dbias, dout, dinitial, after)
    values += workspace_values(call, deterministic, spaces)
    family, instance = "conv_bwd", (*vectors(call, x, dout, dx), bool(silu), deterministic)
    if call.channel_last:
        family = "conv_bwd_channel_last"
        instance = (length, bool(silu), seq_idx is not None, dfinal is not None, deterministic)
    tensors = (x, weight, bias, dout, seq_idx, initial, dfinal, *targets, *spaces)
    _launch(family, instance, tensors, values, BACKWARD_FIELDS, call)
    for target, space in ((dweight, spaces[0]), (dbias, spaces[1])):
        if space is not None:
            target.add_(space.sum((0, 1) if call.channel_last else 0))


def _deterministic() -> bool:
    """As upstream: the environment's word, else torch's setting."""
    said = os.environ.get("CAUSAL_CONV1D_DETERMINISTIC", "")[:1]
    if said in ("0", "1"):
        return said == "1"
    return torch.are_deterministic_algorithms_enabled()


def _workspaces(
    call: Call, x: Tensor, has_bias: bool, chunk: int
) -> Tuple[Tensor, Optional[Tensor]]:
    """Sums that every block keeps for itself, added up afterwards in a fixed order."""
    sizes: Tuple[int, ...] = (call.batch, call.dim)
    if call.channel_last:
        sizes = (call.batch, (call.length + chunk - 1) // chunk, call.dim)
    weights = torch.zeros((*sizes, call.width), dtype=torch.float32, device=x.device)
    if not has_bias:
        return weights, None
    return weights, torch.zeros(sizes, dtype=torch.float32, device=x.device)


def vectors(call: Call, *rows: Tensor) -> Tuple[object, ...]:
    """Whether the kernel for whole vectors is taken: upstream asks for the length only, and crashes."""
    return (conv_vectors(call.length, DTYPES[rows[0].dtype]) and repairs.all_aligned(*rows),)


def _launch(
    family: str,
    instance: Tuple[object, ...],
    tensors: Tuple[Any, ...],
    values: Tuple[Any, ...],
    names: Tuple[str, ...],
    call: Call,
) -> None:
    x, weight = tensors[:2]
    device = max(x.get_device(), 0)
    types = (call.width, DTYPES[x.dtype], DTYPES[weight.dtype])
    kernel = launch.ready(device, family, (*instance, *types), names)
    grid = (call.batch, call.dim, 1)
    if call.channel_last:
        length, channels = kernel.extra["chunk_length"], kernel.extra["chunk_channels"]
        grid = (call.batch, -(-call.length // length), -(-call.dim // channels))
    kernel.launch(values, grid, launch.stream_of(device), tensors)
