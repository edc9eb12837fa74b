"""`selective_scan_cuda`'s two functions: upstream's arguments, checks and results, upstream's kernels.

All releases of mamba-ssm (1.0 to 2.3.2) call them alike. Shapes: u, delta, z (batch, dim, length); A (dim, state);
B, C (dim, state) or (batch, groups, state, length), twice as long where A is complex; D, delta_bias (dim).
"""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

import torch
from torch import Tensor

from . import launch
from .checks import DTYPES, check
from .scan_checks import Call, check_states, checked, like_input
from .scan_struct import (
    BACKWARD_FIELDS,
    FORWARD_FIELDS,
    backward_values,
    forward_values,
    template,
)


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
    call = checked(u, delta, A, B, C, D, delta_bias)
    if z is not None:
        like_input("z", z, u, call)
    out_z = None if z is None else torch.empty_like(z)
    out = torch.empty_like(delta)
    x = torch.empty(
        (call.batch, call.dim, call.chunks, call.state * 2), dtype=A.dtype, device=u.device
    )
    values = forward_values(
        call, u, delta, A, B, C, D, z, delta_bias, delta_softplus, out, x.data_ptr(), out_z
    )
    threads, items, even = template(call, values, FORWARD_FIELDS, u)
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
    call = checked(u, delta, A, B, C, D, delta_bias, dout)
    out_z = None
    if z is not None:
        like_input("z", z, u, call)
        check(out is not None, "out_.has_value()")
        assert out is not None
        like_input("out", out, u, call)
        if dz is None:
            dz = torch.empty_like(z)
        else:
            like_input("dz", dz, u, call)
        out_z = torch.empty_like(out) if recompute_out_z else None
    elif recompute_out_z:
        # upstream reads an undefined tensor's strides here, and torch refuses
        raise RuntimeError("recompute_out_z needs z and out")
    check_states(x, A, call)
    grads = _gradients(u, delta, A, B, C, D, delta_bias, call)
    gradients = (*grads[:5], dz if z is not None else None, *grads[5:])
    shown = out if z is not None else dout
    assert shown is not None
    start = 0 if x is None else x.data_ptr()
    # strides of an output that is not recomputed are dout's: the kernel does not read them
    values = forward_values(
        call, u, delta, A, B, C, D, z, delta_bias, delta_softplus, shown, start,
        out_z if out_z is not None else dout, out_z is not None,
    )  # fmt: skip
    values += backward_values(call, dout, gradients)
    threads, items, even = template(call, values, BACKWARD_FIELDS, u)
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


def _gradients(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Optional[Tensor],
    delta_bias: Optional[Tensor],
    call: Call,
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


def _launch(
    family: str,
    instance: Tuple[object, ...],
    tensors: Tuple[Any, ...],
    values: Tuple[Any, ...],
    names: Tuple[str, ...],
    call: Call,
) -> None:
    u, A = tensors[0], tensors[2]
    device = max(u.get_device(), 0)
    types = (DTYPES[u.dtype], DTYPES[A.dtype])
    kernel = launch.ready(device, family, instance + types, names)
    kernel.launch(values, (call.batch, call.dim, 1), launch.stream_of(device), tensors)
