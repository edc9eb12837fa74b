"""`selective_scan_cuda`'s two functions: upstream's arguments, checks and results, upstream's kernels.

All releases of mamba-ssm (1.0 to 2.3.2) call them alike. Shapes: u, delta, z (batch, dim, length); A (dim, state);
B, C (dim, state) or (batch, groups, state, length), twice as long where A is complex; D, delta_bias (dim).
"""

from __future__ import annotations

import functools
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor

from . import launch, repairs
from .checks import DTYPES, check, last_contiguous, on_device, shape
from .rules import SCAN_CHUNK, scan_launch
from .sources import installed

FORWARD_FIELDS = (
    "batch",
    "dim",
    "seqlen",
    "dstate",
    "n_groups",
    "n_chunks",
    "dim_ngroups_ratio",
    "is_variable_B",
    "is_variable_C",
    "delta_softplus",
    "A_d_stride",
    "A_dstate_stride",
    "B_batch_stride",
    "B_d_stride",
    "B_dstate_stride",
    "B_group_stride",
    "C_batch_stride",
    "C_d_stride",
    "C_dstate_stride",
    "C_group_stride",
    "u_batch_stride",
    "u_d_stride",
    "delta_batch_stride",
    "delta_d_stride",
    "z_batch_stride",
    "z_d_stride",
    "out_batch_stride",
    "out_d_stride",
    "out_z_batch_stride",
    "out_z_d_stride",
    "A_ptr",
    "B_ptr",
    "C_ptr",
    "D_ptr",
    "u_ptr",
    "delta_ptr",
    "delta_bias_ptr",
    "out_ptr",
    "x_ptr",
    "z_ptr",
    "out_z_ptr",
)
BACKWARD_FIELDS = FORWARD_FIELDS + (
    "dout_batch_stride",
    "dout_d_stride",
    "dA_d_stride",
    "dA_dstate_stride",
    "dB_batch_stride",
    "dB_group_stride",
    "dB_d_stride",
    "dB_dstate_stride",
    "dC_batch_stride",
    "dC_group_stride",
    "dC_d_stride",
    "dC_dstate_stride",
    "du_batch_stride",
    "du_d_stride",
    "dz_batch_stride",
    "dz_d_stride",
    "ddelta_batch_stride",
    "ddelta_d_stride",
    "dout_ptr",
    "dA_ptr",
    "dB_ptr",
    "dC_ptr",
    "dD_ptr",
    "du_ptr",
    "dz_ptr",
    "ddelta_ptr",
    "ddelta_bias_ptr",
)
# what is read and written in whole vectors where the length allows it
_ROWS = ("u", "delta", "z", "out", "out_z", "dout", "du", "dz", "ddelta")
_INPUTS = (torch.float32, torch.float16, torch.bfloat16)
_INPUT_WORDS = " || ".join(
    f"input_type == at::ScalarType::{name}" for name in ("Float", "Half", "BFloat16")
)
_WEIGHT_WORDS = (
    "weight_type == at::ScalarType::Float || weight_type == at::ScalarType::ComplexFloat"
)


class _Call(NamedTuple):
    """What both directions know after the checks."""

    batch: int
    dim: int
    length: int
    state: int
    groups: int
    chunks: int
    variable_B: bool
    variable_C: bool


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
    """[out before the gate, x] and, with `z`, the gated out.

    x: (batch, dim, ceil(length / 2048), 2 * state), in A's dtype: the states at the ends of the chunks.

    Raises:
        RuntimeError: arguments that upstream refuses, in its words.
        KernelError: the kernel cannot be had or launched.
    """
    call = _checked(u, delta, A, B, C, D, delta_bias)
    if z is not None:
        _check_like_input("z", z, u, call)
    out_z = None if z is None else torch.empty_like(z)
    out = torch.empty_like(delta)
    x = torch.empty(
        (call.batch, call.dim, call.chunks, call.state * 2), dtype=A.dtype, device=u.device
    )
    values = _values(
        call, u, delta, A, B, C, D, z, delta_bias, delta_softplus, out, x.data_ptr(), out_z
    )
    threads, items, even = _template(call, values, FORWARD_FIELDS, u)
    instance = (threads, items, even, call.variable_B, call.variable_C, z is not None)
    tensors = (u, delta, A, B, C, D, z, delta_bias, out, x, out_z)
    _launch("scan_fwd", instance, tensors, values, FORWARD_FIELDS, call)
    return [out, x] if out_z is None else [out, x, out_z]


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
    """[du, ddelta, dA, dB, dC, dD, ddelta_bias] and, with `z`, dz (`dz` itself where it is given), and, if asked
    for, the gated out again. dD and ddelta_bias are None where there is no D, no delta_bias.

    Raises:
        As `fwd`.
    """
    call = _checked(u, delta, A, B, C, D, delta_bias, dout)
    out_z = None
    if z is not None:
        _check_like_input("z", z, u, call)
        check(out is not None, "out_.has_value()")
        assert out is not None
        _check_like_input("out", out, u, call)
        if dz is None:
            dz = torch.empty_like(z)
        else:
            _check_like_input("dz", dz, u, call)
        out_z = torch.empty_like(out) if recompute_out_z else None
    elif recompute_out_z:
        # upstream reads an undefined tensor's strides here, and torch refuses
        raise RuntimeError("recompute_out_z needs z and out")
    _check_states(x, A, call)
    grads = _gradients(u, delta, A, B, C, D, delta_bias, call)
    gradients = (*grads[:5], dz if z is not None else None, *grads[5:])
    shown = out if z is not None else dout
    assert shown is not None
    start = 0 if x is None else x.data_ptr()
    # strides of an output that is not recomputed are dout's: the kernel does not read them
    values = _values(
        call, u, delta, A, B, C, D, z, delta_bias, delta_softplus, shown, start,
        out_z if out_z is not None else dout, out_z is not None,
    )  # fmt: skip
    values += _backward_values(call, dout, gradients)
    threads, items, even = _template(call, values, BACKWARD_FIELDS, u)
    instance = (
        threads, items, even, call.variable_B, call.variable_C, bool(delta_softplus), z is not None,
    )  # fmt: skip
    tensors = (u, delta, A, B, C, D, z, delta_bias, dout, x, out, out_z, *gradients)
    _launch("scan_bwd", instance, tensors, values, BACKWARD_FIELDS, call)
    du, ddelta, dA, dB, dC, dD, dbias = grads
    assert dB is not None and dC is not None
    result: List[Optional[Tensor]] = [du, ddelta, dA, dB.to(B.dtype), dC.to(C.dtype), dD, dbias]
    if z is not None:
        result.append(dz)
    if recompute_out_z:
        result.append(out_z)
    return result


def _checked(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Optional[Tensor],
    delta_bias: Optional[Tensor],
    dout: Optional[Tensor] = None,
) -> _Call:
    """The checks that forward and backward share, in upstream's order."""
    _check_types(u, delta, A, B, C, dout)
    tensors = {"u": u, "delta": delta, "A": A, "B": B, "C": C}
    runs = {"u": u, "delta": delta}
    if dout is not None:
        tensors["dout"] = runs["dout"] = dout
    on_device(**tensors)
    for name, tensor in runs.items():
        last_contiguous(name, tensor)
    batch, dim, length = _three(u)
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
    _check_vector("D", D, dim)
    _check_vector("delta_bias", delta_bias, dim)
    chunks = (length + SCAN_CHUNK - 1) // SCAN_CHUNK
    return _Call(batch, dim, length, state, groups, chunks, variable_B, variable_C)


def _three(u: Tensor) -> Tuple[int, int, int]:
    if u.dim() < 3:
        raise RuntimeError("u must have shape (batch_size, dim, seqlen)")
    return u.size(0), u.size(1), u.size(2)


def _check_types(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, dout: Optional[Tensor]
) -> None:
    if u.dtype not in _INPUTS:
        check(False, _INPUT_WORDS)
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


def _check_vector(name: str, value: Optional[Tensor], dim: int) -> None:
    if value is None:
        return
    if value.dtype != torch.float32:
        check(False, f"{name}.scalar_type() == at::ScalarType::Float")
    on_device(**{name: value})
    last_contiguous(name, value)
    shape(name, value, (dim,), "dim")


def _check_like_input(name: str, value: Tensor, u: Tensor, call: _Call) -> None:
    if value.dtype != u.dtype:
        check(False, f"{name}.scalar_type() == input_type")
    on_device(**{name: value})
    last_contiguous(name, value)
    shape(name, value, (call.batch, call.dim, call.length), "batch_size, dim, seqlen")


def _check_states(x: Optional[Tensor], A: Tensor, call: _Call) -> None:
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


def _gradients(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Optional[Tensor],
    delta_bias: Optional[Tensor],
    call: _Call,
) -> Tuple[Optional[Tensor], ...]:
    """du, ddelta, dA, dB, dC, dD, ddelta_bias, as the kernel fills them: what it adds to begins at zero."""
    return (
        torch.empty_like(u),
        torch.empty_like(delta),
        torch.zeros_like(A),
        torch.zeros_like(B, dtype=torch.float32 if call.variable_B else B.dtype),
        torch.zeros_like(C, dtype=torch.float32 if call.variable_C else C.dtype),
        None if D is None else torch.zeros_like(D),
        None if delta_bias is None else torch.zeros_like(delta_bias),
    )


def _values(
    call: _Call,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Optional[Tensor],
    z: Optional[Tensor],
    delta_bias: Optional[Tensor],
    softplus: bool,
    out: Tensor,
    states: int,
    out_z: Optional[Tensor],
    written: bool = True,
) -> Tuple[Any, ...]:
    """The forward struct's values, in the order of `FORWARD_FIELDS`; absent tensors are zeros.

    Args:
        states: address of x.
        written: whether `out_z` is written to; otherwise only its strides are passed on.
    """
    has_z = z is not None
    return (
        call.batch,
        call.dim,
        call.length,
        call.state,
        call.groups,
        call.chunks,
        call.dim // call.groups,
        call.variable_B,
        call.variable_C,
        bool(softplus),
        A.stride(0),
        A.stride(1),
        *_matrix_strides(B, call.variable_B),
        *_matrix_strides(C, call.variable_C),
        *_two(u),
        *_two(delta),
        *(_two(z) if z is not None else (0, 0)),
        *_two(out),
        *(_two(out_z) if has_z and out_z is not None else (0, 0)),
        A.data_ptr(),
        B.data_ptr(),
        C.data_ptr(),
        0 if D is None else D.data_ptr(),
        u.data_ptr(),
        delta.data_ptr(),
        0 if delta_bias is None else delta_bias.data_ptr(),
        out.data_ptr(),
        states,
        0 if z is None else z.data_ptr(),
        out_z.data_ptr() if has_z and written and out_z is not None else 0,
    )


def _template(
    call: _Call, values: Sequence[Any], names: Tuple[str, ...], u: Tensor
) -> Tuple[int, int, bool]:
    """Threads, items, and whether rows are read in whole vectors: upstream asks for the length only, and crashes."""
    threads, items, even = scan_launch(call.length)
    if even:
        strides, pointers = _rows(names, call.variable_B, call.variable_C)
        even = repairs.aligned(
            [values[place] for place in strides],
            [values[place] for place in pointers],
            u.element_size(),
            items,
        )
    return threads, items, even


@functools.lru_cache(maxsize=None)
def _rows(
    names: Tuple[str, ...], variable_B: bool, variable_C: bool
) -> Tuple[Tuple[int, ...], Tuple[int, ...]]:
    """Places of the strides and of the addresses of all rows in a struct's values."""
    ends = ("batch_stride", "d_stride", "dstate_stride", "group_stride")
    rows = [*_ROWS, *("B" * variable_B), *("C" * variable_C)]
    strides = {f"{row}_{end}" for row in rows for end in ends}
    pointers = {f"{row}_ptr" for row in rows}
    return (
        tuple(place for place, name in enumerate(names) if name in strides),
        tuple(place for place, name in enumerate(names) if name in pointers),
    )


def _two(tensor: Tensor) -> Tuple[int, int]:
    strides = tensor.stride()
    return strides[0], strides[1]


def _matrix_strides(matrix: Tensor, variable: bool) -> Tuple[int, int, int, int]:
    """Strides of batch, dim, state and group."""
    strides = matrix.stride()
    if variable:
        return strides[0], 0, strides[2], strides[1]
    return 0, strides[0], strides[1], 0


def _backward_values(
    call: _Call, dout: Tensor, gradients: Tuple[Optional[Tensor], ...]
) -> Tuple[Any, ...]:
    """What the backward struct has beyond the forward one, in the order of `BACKWARD_FIELDS`."""
    du, ddelta, dA, dB, dC, dz, dD, dbias = gradients
    assert du is not None and ddelta is not None
    assert dA is not None and dB is not None and dC is not None
    batch_B, dim_B, state_B, group_B = _matrix_strides(dB, call.variable_B)
    batch_C, dim_C, state_C, group_C = _matrix_strides(dC, call.variable_C)
    if call.groups > 1 and dA.is_complex() and repairs.COMPLEX_GROUPS in installed().faults:
        group_B, group_C = group_B // 2, group_C // 2
    return (
        *_two(dout),
        *_two(dA),
        batch_B,
        group_B,
        dim_B,
        state_B,
        batch_C,
        group_C,
        dim_C,
        state_C,
        *_two(du),
        *(_two(dz) if dz is not None else (0, 0)),
        *_two(ddelta),
        dout.data_ptr(),
        dA.data_ptr(),
        dB.data_ptr(),
        dC.data_ptr(),
        0 if dD is None else dD.data_ptr(),
        du.data_ptr(),
        0 if dz is None else dz.data_ptr(),
        ddelta.data_ptr(),
        0 if dbias is None else dbias.data_ptr(),
    )


def _launch(
    family: str,
    instance: Tuple[object, ...],
    tensors: Tuple[Any, ...],
    values: Tuple[Any, ...],
    names: Tuple[str, ...],
    call: _Call,
) -> None:
    u, A = tensors[0], tensors[2]
    device = max(u.get_device(), 0)
    types = (DTYPES[u.dtype], DTYPES[A.dtype])
    kernel = launch.ready(device, family, instance + types, names)
    kernel.launch(values, (call.batch, call.dim, 1), launch.stream_of(device), tensors)
