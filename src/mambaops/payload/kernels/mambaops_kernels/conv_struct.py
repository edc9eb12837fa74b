"""The values of the convolution's parameter structs."""

from __future__ import annotations

from typing import Any, Optional, Tuple

from torch import Tensor

from .checks import check
from .conv_checks import NO_STATES, Call

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
_NO_CACHE = (0, 0, 0, 0)


def forward_values(
    call: Call, x: Tensor, weight: Tensor, bias: Optional[Tensor], out: Tensor, silu: bool
) -> Tuple[Any, ...]:
    """The forward struct's values up to `conv_state_indices_ptr`, in the order of `FORWARD_FIELDS`."""
    pointers = (
        x.data_ptr(),
        weight.data_ptr(),
        0 if bias is None else bias.data_ptr(),
        out.data_ptr(),
    )
    return numbers(call, x, weight, out, silu, _NO_CACHE) + pointers + (0, 0, 0)


def numbers(
    call: Call, x: Tensor, weight: Tensor, out: Tensor, silu: bool, cache: Tuple[int, ...]
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


def backward_values(
    call: Call,
    dx: Tensor,
    dweight: Tensor,
    dbias: Optional[Tensor],
    dout: Tensor,
    dinitial: Optional[Tensor],
    after: Tuple[int, int, int, int],
) -> Tuple[Any, ...]:
    """What the backward struct has beyond the forward one, up to the final states' gradient."""
    before = NO_STATES
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


def workspace_values(
    call: Call, deterministic: bool, spaces: Tuple[Optional[Tensor], Optional[Tensor]]
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
