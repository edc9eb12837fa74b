"""What VMamba's bindings check of their arguments, in their order and words."""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from .checks import check, last_contiguous, on_device, shape
from .rules import SCAN_CHUNK
from .scan_checks import INPUT_WORDS, INPUTS
from .sources import installed
from .vmamba_rules import MODES, Mode, family

_MOST_STATES = 256
# u, delta, A, B, C, D, delta_bias
Given = Tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Optional[Tensor], Optional[Tensor]]


class Call(NamedTuple):
    """What the checks found; `shared`: channels that share a delta. `rows`: channels of a block of threads."""

    batch: int
    dim: int
    length: int
    state: int
    groups: int
    chunks: int
    shared: int
    rows: int


def checked(
    mode: str,
    given: Given,
    nrows: int,
    dout: Optional[Tensor] = None,
    x: Optional[Tensor] = None,
) -> Call:
    """The sizes of a call; with `dout` of a backward one.

    Raises:
        RuntimeError: arguments that VMamba refuses.
    """
    kind, (u, delta, A, B, C, D, delta_bias) = MODES[mode], given
    _check_types(kind, u, delta, A, B, C, dout)
    tensors = {"u": u, "delta": delta, "A": A, "B": B, "C": C}
    tensors.update({} if dout is None else {"dout": dout})
    on_device(**tensors)
    for name in ("u", "delta", "dout"):
        if name in tensors:
            last_contiguous(name, tensors[name])
    call, words = _sizes(mode, u, delta, A, B, nrows)
    _check_shapes(kind, call, tensors, words)
    _check_vector("D", D, call.dim, "dim")
    bias = "delta_dim" if words == "delta_dim" else "dim"
    _check_vector("delta_bias", delta_bias, call.dim // call.shared, bias)
    if dout is not None:
        _check_states(kind, call, A, x)
    return call


def _check_types(
    mode: Mode,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    dout: Optional[Tensor],
) -> None:
    check(u.dtype in INPUTS, INPUT_WORDS)
    check(A.dtype == torch.float32, "weight_type == at::ScalarType::Float")
    wide = dout is not None and mode.wide
    if wide and dout is not None:
        words = "output_type == input_type || output_type == at::ScalarType::Float"
        check(dout.dtype in (u.dtype, torch.float32), words)
    like = {"delta": delta, "B": B, "C": C}
    like.update({} if dout is None or wide else {"dout": dout})
    for name, one in like.items():
        check(one.dtype == u.dtype, f"{name}.scalar_type() == input_type")


def _sizes(
    mode: str, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, nrows: int
) -> Tuple[Call, str]:
    """The call's sizes, and how the binding names delta's channels."""
    kind = MODES[mode]
    if u.dim() < 3:
        raise RuntimeError("u must have shape (batch_size, dim, seqlen)")
    batch, dim, length = u.shape[:3]
    state = A.size(1) if kind.states else 1
    groups, rows = B.size(1), nrows if kind.rows else 1
    if groups == 0 or rows == 0 or delta.size(1) == 0:
        raise RuntimeError("B has no groups, delta no channels, or nrows is 0")
    parts = " * nrows" if kind.rows else ""
    if dim % (groups * rows):
        raise RuntimeError(f"dims should be dividable by n_groups{parts}")
    # since they may share one: earlier kernels have no such field
    shared = "dim_deltagroups_ratio" in installed().fields(family(mode, False))
    if shared and dim % delta.size(1):
        raise RuntimeError("dims should be dividable by delta_dim")
    if kind.states and state > int(_MOST_STATES / rows):
        parts = parts.replace("*", "/")
        raise RuntimeError(f"selective_scan only supports state dimension <= 256{parts}")
    chunks = (length + SCAN_CHUNK - 1) // SCAN_CHUNK
    ratio = dim // delta.size(1) if shared else 1
    # the binding takes every other number for one
    rows = rows if rows in (2, 3, 4) else 1
    return Call(batch, dim, length, state, groups, chunks, ratio, rows), (
        "delta_dim" if shared else "dim"
    )


def _check_shapes(mode: Mode, call: Call, tensors: Dict[str, Tensor], words: str) -> None:
    run = (call.batch, call.dim, call.length)
    shape("u", tensors["u"], run, "batch_size, dim, seqlen")
    delta = (call.batch, call.dim // call.shared, call.length)
    shape("delta", tensors["delta"], delta, f"batch_size, {words}, seqlen")
    states, dstate = ((call.state,), "dstate, ") if mode.states else ((), "")
    shape("A", tensors["A"], (call.dim, *states), f"dim{', dstate' if mode.states else ''}")
    for name in ("B", "C"):
        wanted = (call.batch, call.groups, *states, call.length)
        shape(name, tensors[name], wanted, f"batch_size, n_groups, {dstate}seqlen")
        last_contiguous(name, tensors[name])
    if "dout" in tensors:
        shape("dout", tensors["dout"], run, "batch_size, dim, seqlen")


def _check_vector(name: str, value: Optional[Tensor], size: int, words: str) -> None:
    if value is None:
        return
    check(value.dtype == torch.float32, f"{name}.scalar_type() == at::ScalarType::Float")
    on_device(**{name: value})
    last_contiguous(name, value)
    shape(name, value, (size,), words)


def _check_states(mode: Mode, call: Call, A: Tensor, x: Optional[Tensor]) -> None:
    if call.chunks > 1:
        check(x is not None, "x_.has_value()")
    if x is None:
        return
    check(x.dtype == A.dtype, "x.scalar_type() == weight_type")
    on_device(x=x)
    check(x.is_contiguous(), "x.is_contiguous()")
    wanted = (call.batch, call.dim, call.chunks, 2 * call.state)
    said = f"batch_size, dim, n_chunks, 2 * {'dstate' if mode.states else '1'}"
    shape("x", x, wanted, said)
