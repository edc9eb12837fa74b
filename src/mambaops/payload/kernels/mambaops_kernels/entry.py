"""The modules' functions: kernels for tensors on a GPU, the scan in PyTorch for all others."""

from __future__ import annotations

from typing import Any, List, Optional

from torch import Tensor

from . import checks, conv, scan


def scan_fwd(u: Tensor, *rest: Any) -> List[Tensor]:
    """See `scan.fwd`."""
    if u.device.type == checks.KIND:
        return scan.fwd(u, *rest)
    from .pytorch import raw_scan  # type: ignore

    return raw_scan.fwd(u, *rest)


def scan_bwd(u: Tensor, *rest: Any) -> List[Optional[Tensor]]:
    """See `scan.bwd`."""
    if u.device.type == checks.KIND:
        return scan.bwd(u, *rest)
    from .pytorch import raw_scan

    return raw_scan.bwd(u, *rest)


def conv_fwd(x: Tensor, *rest: Any) -> Optional[Tensor]:
    """See `conv.causal_conv1d_fwd`."""
    if x.device.type == checks.KIND:
        return conv.causal_conv1d_fwd(x, *rest)
    from .pytorch import raw_conv  # type: ignore

    return raw_conv.causal_conv1d_fwd(x, *rest)


def conv_bwd(x: Tensor, *rest: Any) -> Optional[List[Optional[Tensor]]]:
    """See `conv.causal_conv1d_bwd`."""
    if x.device.type == checks.KIND:
        return conv.causal_conv1d_bwd(x, *rest)
    from .pytorch import raw_conv

    return raw_conv.causal_conv1d_bwd(x, *rest)


def conv_update(x: Tensor, *rest: Any) -> Optional[Tensor]:
    """See `conv.causal_conv1d_update`."""
    if x.device.type == checks.KIND:
        return conv.causal_conv1d_update(x, *rest)
    from .pytorch import raw_conv

    return raw_conv.causal_conv1d_update(x, *rest)
