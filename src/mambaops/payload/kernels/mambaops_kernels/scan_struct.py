"""The values of the scan's parameter structs, and the template that rows so laid out are read by."""

from __future__ import annotations

import functools
from typing import Any, Optional, Sequence, Tuple

from torch import Tensor

from . import repairs
from .rules import scan_launch
from .scan_checks import Call
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


def forward_values(
    call: Call,
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
        *matrix_strides(B, call.variable_B),
        *matrix_strides(C, call.variable_C),
        *two(u),
        *two(delta),
        *(two(z) if z is not None else (0, 0)),
        *two(out),
        *(two(out_z) if has_z and out_z is not None else (0, 0)),
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


def template(
    call: Call, values: Sequence[Any], names: Tuple[str, ...], u: Tensor
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


def two(tensor: Tensor) -> Tuple[int, int]:
    strides = tensor.stride()
    return strides[0], strides[1]


def matrix_strides(matrix: Tensor, variable: bool) -> Tuple[int, int, int, int]:
    """Strides of batch, dim, state and group."""
    strides = matrix.stride()
    if variable:
        return strides[0], 0, strides[2], strides[1]
    return 0, strides[0], strides[1], 0


def backward_values(
    call: Call, dout: Tensor, gradients: Tuple[Optional[Tensor], ...]
) -> Tuple[Any, ...]:
    """What the backward struct has beyond the forward one, in the order of `BACKWARD_FIELDS`."""
    du, ddelta, dA, dB, dC, dz, dD, dbias = gradients
    assert du is not None and ddelta is not None
    assert dA is not None and dB is not None and dC is not None
    batch_B, dim_B, state_B, group_B = matrix_strides(dB, call.variable_B)
    batch_C, dim_C, state_C, group_C = matrix_strides(dC, call.variable_C)
    if call.groups > 1 and dA.is_complex() and repairs.COMPLEX_GROUPS in installed().faults:
        group_B, group_C = group_B // 2, group_C // 2
    return (
        *two(dout),
        *two(dA),
        batch_B,
        group_B,
        dim_B,
        state_B,
        batch_C,
        group_C,
        dim_C,
        state_C,
        *two(du),
        *(two(dz) if dz is not None else (0, 0)),
        *two(ddelta),
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
