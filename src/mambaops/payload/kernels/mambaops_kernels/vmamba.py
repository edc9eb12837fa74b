"""VMamba's scans (`selective_scan_cuda_core`, `_oflex`, `_ndstate`, `_nrow`): its arguments, checks and kernels.

Shapes: u (batch, dim, length), delta (batch, dim or, for oflex, one for several channels, length), A (dim, state),
B, C (batch, groups, state, length), D, delta_bias (dim); ndstate has no axis of states. A, D, delta_bias are fp32.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import torch
from torch import Tensor

from . import launch, repairs
from .checks import DTYPES
from .rules import scan_launch
from .sources import installed
from .vmamba_checks import Call, Given, checked
from .vmamba_rules import MODES, family

# rows that are read and written in whole vectors where the length allows it, and how their strides' names end
_ROWS = ("u", "delta", "out", "dout", "du", "ddelta", "B", "C")
_STRIDES = ("batch_stride", "d_stride", "dstate_stride", "group_stride")


def fwd(
    mode: str,
    given: Given,
    delta_softplus: bool,
    nrows: int,
    out_float: bool = False,
) -> List[Tensor]:
    """[out, x]; x: (batch, dim, ceil(length / 2048), 2 * state), the states at the ends of the chunks.

    Args:
        given: u, delta, A, B, C, D, delta_bias. nrows: channels of a block, 1 to 4; nrow's only. out_float: oflex's: the output is fp32.

    Raises:
        RuntimeError: arguments that VMamba refuses, in its words.
        KernelError: the kernel cannot be had or launched.
    """
    u, delta, A, B, C, D, delta_bias = given
    call = checked(mode, given, nrows)
    out = torch.empty_like(delta)
    if MODES[mode].wide:
        kind = torch.float32 if out_float else u.dtype
        out = torch.empty((call.batch, call.dim, call.length), dtype=kind, device=u.device)
    x = u.new_empty((call.batch, call.dim, call.chunks, call.state * 2), dtype=A.dtype)
    table = _forward_table(call, given, delta_softplus, out, x)
    rows = {"u": u, "delta": delta, "B": B, "C": C, "out": out}
    _launch(mode, call, rows, table, out.dtype, None, (A, D, delta_bias, x))
    return [out, x]


def bwd(
    mode: str,
    given: Given,
    dout: Tensor,
    x: Optional[Tensor],
    delta_softplus: bool,
    nrows: int,
) -> List[Optional[Tensor]]:
    """[du, ddelta, dA, dB, dC, dD, ddelta_bias]; dD and ddelta_bias are None where there is no D, no delta_bias.

    Raises:
        As `fwd`.
    """
    u, delta, A, B, C, D, delta_bias = given
    call = checked(mode, given, nrows, dout, x)
    du, ddelta, dA = torch.empty_like(u), torch.empty_like(delta), torch.zeros_like(A)
    dB, dC = (torch.zeros_like(one, dtype=torch.float32) for one in (B, C))
    dD = None if D is None else torch.zeros_like(D)
    dbias = None if delta_bias is None else torch.zeros_like(delta_bias)
    if MODES[mode].wide:
        # every channel has a gradient of its own at first, also where several share a delta
        ddelta = torch.empty_like(u)
        dbias = None if delta_bias is None else delta_bias.new_zeros(call.dim)
    table = _forward_table(call, given, delta_softplus, dout, x)
    table.update(_strides("dout", dout), **_strides("du", du), **_strides("ddelta", ddelta))
    table.update(_strides("dA", dA), **_strides("dB", dB), **_strides("dC", dC))
    made = {"dA": dA, "dB": dB, "dC": dC, "dD": dD, "ddelta_bias": dbias}
    table.update({f"{name}_ptr": _address(one) for name, one in made.items()})
    rows = {"u": u, "delta": delta, "B": B, "C": C, "dout": dout, "du": du, "ddelta": ddelta}
    more = (A, D, delta_bias, x, *made.values())
    _launch(mode, call, rows, table, dout.dtype, bool(delta_softplus), more)
    if call.shared > 1:
        ddelta = ddelta.view(call.batch, -1, call.shared, call.length).sum(2)
        dbias = None if dbias is None else dbias.view(-1, call.shared).sum(1)
    return [du, ddelta, dA, dB.to(B.dtype), dC.to(C.dtype), dD, dbias]


def _forward_table(
    call: Call,
    given: Given,
    softplus: bool,
    out: Tensor,
    x: Optional[Tensor],
) -> Dict[str, Any]:
    """The forward struct's values by name, also those that a module's struct has not."""
    u, delta, A, B, C, D, delta_bias = given
    table: Dict[str, Any] = {
        "batch": call.batch,
        "dim": call.dim,
        "seqlen": call.length,
        "dstate": call.state,
        "n_groups": call.groups,
        "n_chunks": call.chunks,
        "dim_ngroups_ratio": call.dim // call.groups,
        "dim_deltagroups_ratio": call.shared,
        "delta_softplus": bool(softplus),
    }
    for name, one in (("A", A), ("B", B), ("C", C), ("u", u), ("delta", delta), ("out", out)):
        table.update(_strides(name, one))
    others = {"D": D, "delta_bias": delta_bias, "x": x}
    table.update({f"{name}_ptr": _address(one) for name, one in others.items()})
    return table


def _strides(name: str, tensor: Tensor) -> Dict[str, Any]:
    """Address and strides of a tensor, as the structs name them."""
    strides = tensor.stride()
    found = {f"{name}_ptr": tensor.data_ptr()}
    if name.lstrip("d") == "A":
        found[f"{name}_d_stride"], found[f"{name}_dstate_stride"] = (*strides, 0)[:2]
    elif name.lstrip("d") in ("B", "C"):
        found[f"{name}_batch_stride"], found[f"{name}_group_stride"] = strides[:2]
        states = strides[2] if len(strides) > 3 else 0
        found[f"{name}_d_stride"], found[f"{name}_dstate_stride"] = 0, states
    else:
        found[f"{name}_batch_stride"], found[f"{name}_d_stride"] = strides[:2]
    return found


def _address(tensor: Optional[Tensor]) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _launch(
    mode: str,
    call: Call,
    rows: Dict[str, Tensor],
    table: Dict[str, Any],
    output: torch.dtype,
    softplus: Optional[bool],
    more: Tuple[Optional[Tensor], ...],
) -> None:
    """Choose the instance and start it; `softplus` is the template's, None for the forward kernel."""
    u = rows["u"]
    threads, items, even = scan_launch(call.length)
    even = even and all(_aligned(name, one, table, items) for name, one in rows.items())
    # other numbers of rows than 2 to 4 are one
    flags = [call.rows, even] if MODES[mode].rows else [even]
    flags += [] if softplus is None else [softplus]
    types = [DTYPES[u.dtype], *([DTYPES[output]] if MODES[mode].wide else [])]
    name, device = family(mode, softplus is not None), max(u.get_device(), 0)
    fields = tuple(installed().fields(name))
    kernel = launch.ready(device, name, (threads, items, *flags, *types), fields)
    grid = (call.batch, call.dim // call.rows, 1)
    values = tuple(table[field] for field in fields)
    kernel.launch(values, grid, launch.stream_of(device), (*rows.values(), *more))


def _aligned(name: str, tensor: Tensor, table: Dict[str, Any], items: int) -> bool:
    """Whether these rows begin at whole vectors: upstream asks for the length only, and crashes."""
    strides = [table.get(f"{name}_{end}", 0) for end in _STRIDES]
    return repairs.aligned(strides, [table[f"{name}_ptr"]], tensor.element_size(), items)
