"""What upstream's `causal_conv1d` checks of its arguments, in its words; sizes that the checks find."""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from .checks import check, on_device, shape

_FLOATS = (torch.float32, torch.float16, torch.bfloat16)
NO_STATES = (0, 0, 0, 0)


class Call(NamedTuple):
    """What the checks found: sizes, and whether the channels lie next to each other."""

    batch: int
    dim: int
    length: int
    width: int
    channel_last: bool


def wrong_count(name: str, count: int, wanted: str) -> TypeError:
    return TypeError(
        f"{name}(): incompatible function arguments: {count} were passed, and every known causal-conv1d passes {wanted}"
    )


def check_types(x: Tensor, weight: Tensor) -> None:
    for name, tensor in (("input", x), ("weight", weight)):
        if tensor.dtype not in _FLOATS:
            kinds = ("Float", "Half", "BFloat16")
            check(False, " || ".join(f"{name}_type == at::ScalarType::{kind}" for kind in kinds))


def sizes(x: Tensor, weight: Tensor, *, width_first: bool = False) -> Call:
    if x.dim() != 3:
        raise RuntimeError("x must have shape (batch_size, dim, seqlen)")
    batch, dim, length = x.shape
    width = weight.size(-1)
    channel_last = x.stride(1) == 1 and x.stride(2) > 1
    call = Call(batch, dim, length, width, channel_last)
    if width_first:
        check_width(call)
    shape("weight", weight, (dim, width), "dim, width")
    return call


def check_width(call: Call) -> None:
    if not 2 <= call.width <= 4:
        raise RuntimeError("causal_conv1d only supports width between 2 and 4")


def check_layout(x: Tensor, call: Call) -> None:
    check_strides(x)
    check_multiples(x, call)


def check_strides(x: Tensor) -> None:
    check(x.stride(2) == 1 or x.stride(1) == 1, "x.stride(2) == 1 || x.stride(1) == 1")


def check_multiples(x: Tensor, call: Call) -> None:
    if not call.channel_last:
        return
    if call.dim % 8:
        raise RuntimeError("causal_conv1d only supports channel dimension divisible by 8 for now")
    check_eights("x", x)


def check_eights(name: str, tensor: Tensor) -> None:
    if tensor.stride(2) % 8 or tensor.stride(0) % 8:
        raise RuntimeError(
            f"causal_conv1d with channel last layout requires strides ({name}.stride(0) and {name}.stride(2)) "
            "to be multiples of 8"
        )


def check_bias(bias: Optional[Tensor], weight: Tensor, call: Call) -> None:
    if bias is None:
        return
    if bias.dtype != weight.dtype:
        check(False, "bias.scalar_type() == weight_type")
    on_device(bias=bias)
    check(bias.stride(-1) == 1, "bias.stride(-1) == 1")
    shape("bias", bias, (call.dim,), "dim")


def check_seq_idx(seq_idx: Optional[Tensor], call: Call, words: str) -> None:
    if seq_idx is None:
        return
    if not call.channel_last:
        raise RuntimeError(words)
    check(seq_idx.dtype == torch.int32, "seq_idx.scalar_type() == torch::kInt32")
    on_device(seq_idx=seq_idx)
    check(seq_idx.is_contiguous(), "seq_idx.is_contiguous()")
    shape("seq_idx", seq_idx, (call.batch, call.length), "batch_size, seqlen")


def check_dx(dx: Tensor, x: Tensor, call: Call) -> None:
    check(dx.dtype == x.dtype, "dx.scalar_type() == input_type")
    on_device(dx=dx)
    shape("dx", dx, (call.batch, call.dim, call.length), "batch_size, dim, seqlen")
    axis = 1 if call.channel_last else 2
    check(dx.stride(axis) == 1, f"dx.stride({axis}) == 1")


def check_integers(name: str, value: Tensor, words: str, stride: int, batch: int) -> None:
    check(value.dtype == torch.int32, f"{name}.scalar_type() == torch::kInt32")
    on_device(**{name: value})
    check(stride == 1, f"{name}.{words} == 1")
    shape(name, value, (batch,), "batch_size")


def states_of(
    name: str, value: Optional[Tensor], x: Tensor, call: Call, *, close: bool = True
) -> Tuple[int, int, int, int]:
    """Address and strides of batch, time and channel of initial or final states, checked."""
    if value is None:
        return NO_STATES
    if not call.channel_last:
        raise RuntimeError(f"{name} is only supported for channel last layout")
    check(value.dtype == x.dtype, f"{name}.scalar_type() == input_type")
    on_device(**{name: value})
    shape(name, value, (call.batch, call.dim, call.width - 1), "batch_size, dim, width - 1")
    if close:
        check(value.stride(1) == 1, f"{name}.stride(1) == 1")
    strides = value.stride()
    return value.data_ptr(), strides[0], strides[2], strides[1]
