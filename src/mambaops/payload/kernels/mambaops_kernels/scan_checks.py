"""What upstream's `selective_scan` checks of its arguments, in its order and words."""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from .checks import check, last_contiguous, on_device, shape
from .rules import SCAN_CHUNK

INPUTS = (torch.float32, torch.float16, torch.bfloat16)
INPUT_WORDS = " || ".join(
    f"input_type == at::ScalarType::{name}" for name in ("Float", "Half", "BFloat16")
)
_WEIGHT_WORDS = (
    "weight_type == at::ScalarType::Float || weight_type == at::ScalarType::ComplexFloat"
)


class Call(NamedTuple):
    """What both directions know after the checks."""

    batch: int
    dim: int
    length: int
    state: int
    groups: int
    chunks: int
    variable_B: bool
    variable_C: bool


def checked(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Optional[Tensor],
    delta_bias: Optional[Tensor],
    dout: Optional[Tensor] = None,
) -> Call:
    """The checks that forward and backward share, in upstream's order."""
    check_types(u, delta, A, B, C, dout)
    tensors = {"u": u, "delta": delta, "A": A, "B": B, "C": C}
    runs = {"u": u, "delta": delta}
    if dout is not None:
        tensors["dout"] = runs["dout"] = dout
    on_device(**tensors)
    for name, tensor in runs.items():
        last_contiguous(name, tensor)
    batch, dim, length = three(u)
    state = A.size(1)
    variable_B, variable_C = B.dim() >= 3, C.dim() >= 3
    groups = B.size(1) if variable_B else 1
    if groups == 0:
        raise RuntimeError("B has no groups")
    if state > 256:
        raise RuntimeError("selective_scan only supports state dimension <= 256")
    run = (batch, dim, length)
    shape("u", u, run, "batch_size, dim, seqlen")
    shape("delta", delta, run, "batch_size, dim, seqlen")
    shape("A", A, (dim, state), "dim, dstate")
    steps = length * 2 if A.dtype == torch.complex64 else length
    _check_matrix("B", B, variable_B, (dim, batch, groups, state, steps))
    _check_matrix("C", C, variable_C, (dim, batch, groups, state, steps))
    if dout is not None:
        shape("dout", dout, run, "batch_size, dim, seqlen")
    check_vector("D", D, dim)
    check_vector("delta_bias", delta_bias, dim)
    chunks = (length + SCAN_CHUNK - 1) // SCAN_CHUNK
    return Call(batch, dim, length, state, groups, chunks, variable_B, variable_C)


def three(u: Tensor) -> Tuple[int, int, int]:
    if u.dim() < 3:
        raise RuntimeError("u must have shape (batch_size, dim, seqlen)")
    return u.size(0), u.size(1), u.size(2)


def check_types(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, dout: Optional[Tensor]
) -> None:
    if u.dtype not in INPUTS:
        check(False, INPUT_WORDS)
    if A.dtype not in (torch.float32, torch.complex64):
        check(False, _WEIGHT_WORDS)
    if delta.dtype != u.dtype:
        check(False, "delta.scalar_type() == input_type")
    for name, matrix in (("B", B), ("C", C)):
        if matrix.dtype != (u.dtype if matrix.dim() >= 3 else A.dtype):
            check(
                False,
                f"{name}.scalar_type() == (!is_variable_{name} ? weight_type : input_type)",
            )
    if dout is not None and dout.dtype != u.dtype:
        check(False, "dout.scalar_type() == input_type")


def _check_matrix(name: str, value: Tensor, variable: bool, sizes: Tuple[int, ...]) -> None:
    dim, batch, groups, state, steps = sizes
    if not variable:
        shape(name, value, (dim, state), "dim, dstate")
        return
    words = "batch_size, n_groups, dstate, !is_complex ? seqlen : seqlen * 2"
    if name == "C":  # a space is missing in upstream's words
        words = words.replace("seqlen :", "seqlen:")
    shape(name, value, (batch, groups, state, steps), words)
    last_contiguous(name, value)


def check_vector(name: str, value: Optional[Tensor], dim: int) -> None:
    if value is None:
        return
    if value.dtype != torch.float32:
        check(False, f"{name}.scalar_type() == at::ScalarType::Float")
    on_device(**{name: value})
    last_contiguous(name, value)
    shape(name, value, (dim,), "dim")


def like_input(name: str, value: Tensor, u: Tensor, call: Call) -> None:
    if value.dtype != u.dtype:
        check(False, f"{name}.scalar_type() == input_type")
    on_device(**{name: value})
    last_contiguous(name, value)
    shape(name, value, (call.batch, call.dim, call.length), "batch_size, dim, seqlen")


def check_states(x: Optional[Tensor], A: Tensor, call: Call) -> None:
    if call.chunks > 1:
        check(x is not None, "x_.has_value()")
    if x is None:
        return
    if x.dtype != A.dtype:
        check(False, "x.scalar_type() == weight_type")
    on_device(x=x)
    if not x.is_contiguous():
        check(False, "x.is_contiguous()")
    wanted = (call.batch, call.dim, call.chunks, 2 * call.state)
    shape("x", x, wanted, "batch_size, dim, n_chunks, 2 * dstate")
