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
from typing import Any, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from . import launch, repairs
from .checks import DTYPES, check, on_device, shape
from .rules import backward_chunk, conv_vectors
from .sources import installed

FORWARD_FIELDS = (
    "batch",
    "dim",
    "seqlen",
    "width",
    "silu_activation",
    "x_batch_stride",
    "x_c_stride",
    "x_l_stride",
    "weight_c_stride",
    "weight_width_stride",
    "out_batch_stride",
    "out_c_stride",
    "out_l_stride",
    "conv_state_len",
    "conv_state_batch_stride",
    "conv_state_c_stride",
    "conv_state_l_stride",
    "x_ptr",
    "weight_ptr",
    "bias_ptr",
    "out_ptr",
    "conv_state_ptr",
    "cache_seqlens",
    "conv_state_indices_ptr",
    "seq_idx_ptr",
    "initial_states_ptr",
    "initial_states_batch_stride",
    "initial_states_l_stride",
    "initial_states_c_stride",
    "final_states_ptr",
    "final_states_batch_stride",
    "final_states_l_stride",
    "final_states_c_stride",
)
BACKWARD_FIELDS = FORWARD_FIELDS + (
    "dx_batch_stride",
    "dx_c_stride",
    "dx_l_stride",
    "dweight_c_stride",
    "dweight_width_stride",
    "dout_batch_stride",
    "dout_c_stride",
    "dout_l_stride",
    "dx_ptr",
    "dweight_ptr",
    "dbias_ptr",
    "dout_ptr",
    "dinitial_states_ptr",
    "dinitial_states_batch_stride",
    "dinitial_states_l_stride",
    "dinitial_states_c_stride",
    "dfinal_states_ptr",
    "dfinal_states_batch_stride",
    "dfinal_states_l_stride",
    "dfinal_states_c_stride",
    "deterministic",
    "dweight_workspace_ptr",
    "dbias_workspace_ptr",
    "dweight_workspace_batch_stride",
    "dweight_workspace_dim_stride",
    "dbias_workspace_batch_stride",
)
_FLOATS = (torch.float32, torch.float16, torch.bfloat16)
_NO_STATES = (0, 0, 0, 0)
_NO_CACHE = (0, 0, 0, 0)


# x, state, weight, bias, out, silu, sequence lengths, indices of states
_Update = Tuple[
    Tensor, Tensor, Tensor, Optional[Tensor], Tensor, bool, Optional[Tensor], Optional[Tensor]
]


class _Call(NamedTuple):
    """What the checks found: sizes, and whether the channels lie next to each other."""

    batch: int
    dim: int
    length: int
    width: int
    channel_last: bool


def _wrong_count(name: str, count: int, wanted: str) -> TypeError:
    return TypeError(
        f"{name}(): incompatible function arguments: {count} were passed, and every known causal-conv1d passes {wanted}"
    )


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
        raise _wrong_count("causal_conv1d_fwd", len(args), "4, 5, 7 or 8")
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
    _check_types(x, weight)
    on_device(x=x, weight=weight)
    call = _sizes(x, weight)
    _check_layout(x, call)
    _check_width(call)
    _check_bias(bias, weight, call)
    _check_seq_idx(seq_idx, call, "seq_idx is only supported for channel last layout")
    if out is None:
        out = torch.empty_like(x)
    states = _states("initial_states", initial, x, call) + _states("final_states", final, x, call)
    if call.channel_last and not repairs.all_aligned(x, initial, out, final):
        x, initial, *own = repairs.copied("causal_conv1d_fwd", x, initial, out, final)
        _forward(x, weight, bias, seq_idx, initial, own[0], own[1], silu)
        repairs.write((out, own[0]), (final, own[1]))
        return out
    values = _values(call, x, weight, bias, out, silu)
    values += (0 if seq_idx is None else seq_idx.data_ptr(), *states)
    family, instance = "conv_fwd", _vectors(call, x, out)
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
        raise _wrong_count("causal_conv1d_bwd", len(args), "6, 7, 10 or 12")
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
    _check_types(x, weight)
    on_device(x=x, weight=weight, dout=dout)
    check((bias is None) == (dbias is None), "bias_.has_value() == dbias_.has_value()")
    call = _sizes(x, weight, width_first=True)
    shape("dout", dout, (call.batch, call.dim, call.length), "batch_size, dim, seqlen")
    _check_strides(x)
    if not call.channel_last and dout.stride(2) != 1:
        dout = dout.contiguous()
    if call.channel_last and dout.stride(1) != 1:
        dout = dout.transpose(-1, -2).contiguous().transpose(-1, -2)
    _check_multiples(x, call)
    if call.channel_last:
        _check_eights("dout", dout)
    _check_bias(bias, weight, call)
    _check_seq_idx(seq_idx, call, "seq_idx only supported for channel last layout")
    _check_dx(dx, x, call)
    before = _states("initial_states", initial, x, call)
    after = _states("dfinal_states", dfinal, x, call, close=False)
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
        after = _states("dfinal_states", dfinal, x, call, close=False)
    deterministic = _deterministic()
    era = installed().era("conv_bwd")
    length = backward_chunk(call.length, era)
    spaces = _workspaces(call, x, dbias is not None, length) if deterministic else (None, None)
    values = _values(call, x, weight, bias, dout, silu)
    values += (0 if seq_idx is None else seq_idx.data_ptr(), *before, *_NO_STATES)
    values += _backward_values(call, dx, dweight, dbias, dout, dinitial, after)
    values += _workspace_values(call, deterministic, spaces)
    family, instance = "conv_bwd", (*_vectors(call, x, dout, dx), bool(silu), deterministic)
    if call.channel_last:
        family = "conv_bwd_channel_last"
        instance = (length, bool(silu), seq_idx is not None, dfinal is not None, deterministic)
    tensors = (x, weight, bias, dout, seq_idx, initial, dfinal, *targets, *spaces)
    _launch(family, instance, tensors, values, BACKWARD_FIELDS, call)
    for target, space in ((dweight, spaces[0]), (dbias, spaces[1])):
        if space is not None:
            target.add_(space.sum((0, 1) if call.channel_last else 0))


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
        raise _wrong_count("causal_conv1d_update", len(args), "5, 6, 7 or 8")
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


def _plan_update(given: _Update) -> launch.Plan:
    """The checks, and all that is launched but the addresses."""
    x, state, weight, bias, out, silu, seqlens, indices = given
    _check_types(x, weight)
    if state.dtype != x.dtype:
        check(False, "conv_state.scalar_type() == input_type")
    on_device(x=x, conv_state=state, weight=weight)
    batch, dim, _length, width = x.size(0), x.size(1), x.size(2), weight.size(-1)
    kept = state.size(2)
    check(kept >= width - 1, "conv_state_len >= width - 1")
    call = _sizes(x, weight)
    _check_width(call)
    _check_bias(bias, weight, call)
    entries = batch
    if indices is not None:
        _check_integers("conv_state_indices", indices, "stride(0)", indices.stride(0), batch)
        entries = state.size(0)
    words = "conv_state_entries" if indices is not None else "batch_size"
    shape("conv_state", state, (entries, dim, kept), f"{words}, dim, conv_state_len")
    if seqlens is not None:
        _check_integers("cache_seqlens", seqlens, "stride(-1)", seqlens.stride(-1), batch)
    head = _numbers(call, x, weight, out, silu, (kept, *state.stride()))
    tail = (0, *_NO_STATES, *_NO_STATES)
    device = max(x.get_device(), 0)
    types = (width, DTYPES[x.dtype], DTYPES[weight.dtype])
    kernel = launch.ready(device, "conv_update", (seqlens is not None, *types), FORWARD_FIELDS)
    grid = (batch, (dim + kernel.threads - 1) // kernel.threads, 1)
    return launch.Plan(kernel, device, grid, head, tail)


def _check_types(x: Tensor, weight: Tensor) -> None:
    for name, tensor in (("input", x), ("weight", weight)):
        if tensor.dtype not in _FLOATS:
            kinds = ("Float", "Half", "BFloat16")
            check(False, " || ".join(f"{name}_type == at::ScalarType::{kind}" for kind in kinds))


def _sizes(x: Tensor, weight: Tensor, *, width_first: bool = False) -> _Call:
    if x.dim() != 3:
        raise RuntimeError("x must have shape (batch_size, dim, seqlen)")
    batch, dim, length = x.shape
    width = weight.size(-1)
    channel_last = x.stride(1) == 1 and x.stride(2) > 1
    call = _Call(batch, dim, length, width, channel_last)
    if width_first:
        _check_width(call)
    shape("weight", weight, (dim, width), "dim, width")
    return call


def _check_width(call: _Call) -> None:
    if not 2 <= call.width <= 4:
        raise RuntimeError("causal_conv1d only supports width between 2 and 4")


def _check_layout(x: Tensor, call: _Call) -> None:
    _check_strides(x)
    _check_multiples(x, call)


def _check_strides(x: Tensor) -> None:
    check(x.stride(2) == 1 or x.stride(1) == 1, "x.stride(2) == 1 || x.stride(1) == 1")


def _check_multiples(x: Tensor, call: _Call) -> None:
    if not call.channel_last:
        return
    if call.dim % 8:
        raise RuntimeError("causal_conv1d only supports channel dimension divisible by 8 for now")
    _check_eights("x", x)


def _check_eights(name: str, tensor: Tensor) -> None:
    if tensor.stride(2) % 8 or tensor.stride(0) % 8:
        raise RuntimeError(
            f"causal_conv1d with channel last layout requires strides ({name}.stride(0) and {name}.stride(2)) "
            "to be multiples of 8"
        )


def _check_bias(bias: Optional[Tensor], weight: Tensor, call: _Call) -> None:
    if bias is None:
        return
    if bias.dtype != weight.dtype:
        check(False, "bias.scalar_type() == weight_type")
    on_device(bias=bias)
    check(bias.stride(-1) == 1, "bias.stride(-1) == 1")
    shape("bias", bias, (call.dim,), "dim")


def _check_seq_idx(seq_idx: Optional[Tensor], call: _Call, words: str) -> None:
    if seq_idx is None:
        return
    if not call.channel_last:
        raise RuntimeError(words)
    check(seq_idx.dtype == torch.int32, "seq_idx.scalar_type() == torch::kInt32")
    on_device(seq_idx=seq_idx)
    check(seq_idx.is_contiguous(), "seq_idx.is_contiguous()")
    shape("seq_idx", seq_idx, (call.batch, call.length), "batch_size, seqlen")


def _check_dx(dx: Tensor, x: Tensor, call: _Call) -> None:
    check(dx.dtype == x.dtype, "dx.scalar_type() == input_type")
    on_device(dx=dx)
    shape("dx", dx, (call.batch, call.dim, call.length), "batch_size, dim, seqlen")
    axis = 1 if call.channel_last else 2
    check(dx.stride(axis) == 1, f"dx.stride({axis}) == 1")


def _check_integers(name: str, value: Tensor, words: str, stride: int, batch: int) -> None:
    check(value.dtype == torch.int32, f"{name}.scalar_type() == torch::kInt32")
    on_device(**{name: value})
    check(stride == 1, f"{name}.{words} == 1")
    shape(name, value, (batch,), "batch_size")


def _states(
    name: str, value: Optional[Tensor], x: Tensor, call: _Call, *, close: bool = True
) -> Tuple[int, int, int, int]:
    """Address and strides of batch, time and channel of initial or final states, checked."""
    if value is None:
        return _NO_STATES
    if not call.channel_last:
        raise RuntimeError(f"{name} is only supported for channel last layout")
    check(value.dtype == x.dtype, f"{name}.scalar_type() == input_type")
    on_device(**{name: value})
    shape(name, value, (call.batch, call.dim, call.width - 1), "batch_size, dim, width - 1")
    if close:
        check(value.stride(1) == 1, f"{name}.stride(1) == 1")
    strides = value.stride()
    return value.data_ptr(), strides[0], strides[2], strides[1]


def _values(
    call: _Call, x: Tensor, weight: Tensor, bias: Optional[Tensor], out: Tensor, silu: bool
) -> Tuple[Any, ...]:
    """The forward struct's values up to `conv_state_indices_ptr`, in the order of `FORWARD_FIELDS`."""
    pointers = (
        x.data_ptr(),
        weight.data_ptr(),
        0 if bias is None else bias.data_ptr(),
        out.data_ptr(),
    )
    return _numbers(call, x, weight, out, silu, _NO_CACHE) + pointers + (0, 0, 0)


def _numbers(
    call: _Call, x: Tensor, weight: Tensor, out: Tensor, silu: bool, cache: Tuple[int, ...]
) -> Tuple[Any, ...]:
    """The forward struct's sizes and strides."""
    return (
        call.batch,
        call.dim,
        call.length,
        call.width,
        bool(silu),
        *x.stride(),
        *weight.stride(),
        *out.stride(),
        *cache,
    )


def _backward_values(
    call: _Call,
    dx: Tensor,
    dweight: Tensor,
    dbias: Optional[Tensor],
    dout: Tensor,
    dinitial: Optional[Tensor],
    after: Tuple[int, int, int, int],
) -> Tuple[Any, ...]:
    """What the backward struct has beyond the forward one, up to the final states' gradient."""
    before = _NO_STATES
    if dinitial is not None:
        check(dinitial.stride(1) == 1, "dinitial_states.stride(1) == 1")
        strides = dinitial.stride()
        before = (dinitial.data_ptr(), strides[0], strides[2], strides[1])
    return (
        *dx.stride(),
        *dweight.stride()[:2],
        *dout.stride(),
        dx.data_ptr(),
        dweight.data_ptr(),
        0 if dbias is None else dbias.data_ptr(),
        dout.data_ptr(),
        *before,
        *after,
    )


def _deterministic() -> bool:
    """As upstream: the environment's word, else torch's setting."""
    said = os.environ.get("CAUSAL_CONV1D_DETERMINISTIC", "")[:1]
    if said in ("0", "1"):
        return said == "1"
    return torch.are_deterministic_algorithms_enabled()


def _workspaces(
    call: _Call, x: Tensor, has_bias: bool, chunk: int
) -> Tuple[Tensor, Optional[Tensor]]:
    """Sums that every block keeps for itself, added up afterwards in a fixed order."""
    sizes: Tuple[int, ...] = (call.batch, call.dim)
    if call.channel_last:
        sizes = (call.batch, (call.length + chunk - 1) // chunk, call.dim)
    weights = torch.zeros((*sizes, call.width), dtype=torch.float32, device=x.device)
    if not has_bias:
        return weights, None
    return weights, torch.zeros(sizes, dtype=torch.float32, device=x.device)


def _workspace_values(
    call: _Call, deterministic: bool, spaces: Tuple[Optional[Tensor], Optional[Tensor]]
) -> Tuple[Any, ...]:
    weights, biases = spaces
    if weights is None:
        return (deterministic, 0, 0, 0, 0, 0)
    return (
        deterministic,
        weights.data_ptr(),
        0 if biases is None else biases.data_ptr(),
        weights.stride(0),
        weights.stride(-2),
        0 if biases is None else biases.stride(0),
    )


def _vectors(call: _Call, *rows: Tensor) -> Tuple[object, ...]:
    """Whether the kernel for whole vectors is taken: upstream asks for the length only, and crashes."""
    return (conv_vectors(call.length, DTYPES[rows[0].dtype]) and repairs.all_aligned(*rows),)


def _launch(
    family: str,
    instance: Tuple[object, ...],
    tensors: Tuple[Any, ...],
    values: Tuple[Any, ...],
    names: Tuple[str, ...],
    call: _Call,
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
