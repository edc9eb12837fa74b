"""The functions of VMamba's modules: its kernels for tensors on a GPU, the scan in PyTorch for all others."""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Tuple

from torch import Tensor

from . import checks, vmamba
from .entry import untraced
from .vmamba_rules import MODES


def functions(mode: str) -> Tuple[Callable[..., Any], Callable[..., Any]]:
    """`fwd` and `bwd` of `selective_scan_cuda_core` ("core"), …; torch.compile leaves them to run as they are."""
    forward_count = 10 if MODES[mode].wide else 9

    def fwd(*args: Any) -> List[Tensor]:
        _count("fwd", args, forward_count)
        on_gpu = args[0].device.type == checks.KIND
        return vmamba.fwd(mode, args[:7], *args[7:]) if on_gpu else reference_fwd(mode, *args)

    def bwd(*args: Any) -> List[Optional[Tensor]]:
        _count("bwd", args, 11)
        on_gpu = args[0].device.type == checks.KIND
        return vmamba.bwd(mode, args[:7], *args[7:]) if on_gpu else reference_bwd(mode, *args)

    return untraced(fwd), untraced(bwd)


def _count(name: str, args: Tuple[Any, ...], wanted: int) -> None:
    if len(args) != wanted:
        raise TypeError(
            f"{name}(): incompatible function arguments: {len(args)} were passed, and VMamba passes {wanted}"
        )


def reference_fwd(mode: str, *args: Any) -> List[Tensor]:
    """[out, x] by the scan in PyTorch; x is its own."""
    from .pytorch import raw_scan  # type: ignore

    given, softplus = args[:7], args[7]
    wide = MODES[mode].wide and args[9]
    out, x = raw_scan.fwd(*_plain(mode, given, wide), softplus)
    return [out, x]


def reference_bwd(mode: str, *args: Any) -> List[Optional[Tensor]]:
    """The gradients as `vmamba.bwd` gives them."""
    from .pytorch import raw_scan

    given, (dout, x, softplus) = args[:7], args[7:10]
    u, delta = given[:2]
    plain = _plain(mode, given, dout.dtype != u.dtype)
    found = raw_scan.bwd(*plain, dout, x, None, None, softplus, False)
    du, ddelta, dA, dB, dC, dD, dbias = found
    if not MODES[mode].states:
        dA, dB, dC = dA.squeeze(1), dB.squeeze(2), dC.squeeze(2)
    shared = u.shape[1] // delta.shape[1]
    if shared > 1:
        ddelta = ddelta.unflatten(1, (-1, shared)).sum(2)
        dbias = None if dbias is None else dbias.unflatten(0, (-1, shared)).sum(1)
    kinds = [one.to(u.dtype) for one in (du, ddelta, dB, dC)]
    return [kinds[0], kinds[1], dA, kinds[2], kinds[3], dD, dbias]


def _plain(mode: str, given: Tuple[Any, ...], wide: bool) -> Tuple[Any, ...]:
    """The arguments of mamba's scan: a delta for every channel, an axis of states, no gate."""
    u, delta, A, B, C, D, bias = given
    if wide:
        u, delta, B, C = (one.float() for one in (u, delta, B, C))
    shared = u.shape[1] // delta.shape[1]
    if shared > 1:
        delta = delta.repeat_interleave(shared, 1)
        bias = None if bias is None else bias.repeat_interleave(shared)
    if not MODES[mode].states:
        A, B, C = A.unsqueeze(1), B.unsqueeze(2), C.unsqueeze(2)
    return u, delta, A, B, C, D, None, bias
