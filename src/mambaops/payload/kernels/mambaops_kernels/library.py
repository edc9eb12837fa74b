"""The scan as custom operators, for torch.compile from torch 2.4 on: it sees two operators and looks no further.

Annotations are read when the operators are made, so they are no strings here.
"""

from typing import Any, List, Optional

import torch
from torch import Tensor

from . import scan
from .rules import SCAN_CHUNK


@torch.library.custom_op("mambaops::selective_scan_fwd", mutates_args=())
def forward(
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
    """See `scan.fwd`."""
    return scan.fwd(u, delta, A, B, C, D, z, delta_bias, delta_softplus)


@forward.register_fake
def _(u, delta, A, B, C, D, z, delta_bias, delta_softplus):  # type: ignore[no-untyped-def]
    batch, dim, length = u.shape
    chunks = (length + SCAN_CHUNK - 1) // SCAN_CHUNK
    x = u.new_empty((batch, dim, chunks, 2 * A.shape[1]), dtype=A.dtype)
    made = [torch.empty_like(delta), x]
    return made if z is None else [*made, torch.empty_like(z)]


@torch.library.custom_op("mambaops::selective_scan_bwd", mutates_args=())
def backward(
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
    delta_softplus: bool,
    recompute_out_z: bool,
) -> List[Tensor]:
    """`scan.bwd` without its Nones, and with a dz of its own."""
    found = scan.bwd(
        u, delta, A, B, C, D, z, delta_bias, dout, x, out, None, delta_softplus, recompute_out_z
    )
    return [one for one in found if one is not None]


@backward.register_fake
def _(  # type: ignore[no-untyped-def]
    u, delta, A, B, C, D, z, delta_bias, dout, x, out, delta_softplus, recompute_out_z
):
    like = [u, delta, A, B, C, D, delta_bias]
    if z is not None:
        like.append(z)
    if recompute_out_z:
        like.append(out)
    return [torch.empty_like(one) for one in like if one is not None]


def scan_bwd(*args: Any) -> List[Optional[Tensor]]:
    """The arguments and the results of `scan.bwd`, by way of the operator."""
    D, z, delta_bias, dz, again = args[5], args[6], args[7], args[11], args[13]
    given = iter(backward(*args[:11], *args[12:]))
    found: List[Optional[Tensor]] = [next(given) for _ in range(5)]
    found += [next(given) if one is not None else None for one in (D, delta_bias)]
    if z is not None:
        found.append(next(given) if dz is None else dz.copy_(next(given)))
    if again:
        found.append(next(given))
    return found
