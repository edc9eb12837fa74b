"""The modules' functions: kernels for tensors on a GPU, the scan in PyTorch for all others.

While torch.compile traces, the scan is a custom operator where torch has them (2.4), and everything else is left
to run as it is.
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional

import torch
from torch import Tensor

from . import checks, conv, scan
from .conv_update import again, causal_conv1d_update


def _never() -> bool:
    return False


# torch 2.1 and newer; before, compiled modules' functions are not traced either
_compiling: Callable[[], bool] = getattr(getattr(torch, "compiler", None), "is_compiling", _never)
_HAS_OPERATORS = hasattr(torch.library, "custom_op")
if _HAS_OPERATORS:
    from . import library


def untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as torch.compile leaves it alone."""
    disable = getattr(torch, "_disable_dynamo", None)
    return disable(function) if disable is not None else function


def _reference_scan(name: str, *args: Any) -> Any:
    from .pytorch import raw_scan  # type: ignore

    return getattr(raw_scan, name)(*args)


def _reference_conv(name: str, *args: Any) -> Any:
    from .pytorch import raw_conv  # type: ignore

    return getattr(raw_conv, name)(*args)


_scan_fwd, _scan_bwd = untraced(scan.fwd), untraced(scan.bwd)
_conv_fwd = untraced(conv.causal_conv1d_fwd)
_conv_bwd = untraced(conv.causal_conv1d_bwd)
_conv_update = untraced(causal_conv1d_update)
_untraced_scan, _untraced_conv = untraced(_reference_scan), untraced(_reference_conv)


def scan_fwd(*args: Any) -> List[Tensor]:
    """See `scan.fwd`."""
    if _compiling():
        if args[0].device.type != checks.KIND:
            return _untraced_scan("fwd", *args)
        return library.forward(*args) if _HAS_OPERATORS else _scan_fwd(*args)
    if args[0].device.type == checks.KIND:
        return scan.fwd(*args)
    return _reference_scan("fwd", *args)


def scan_bwd(*args: Any) -> List[Optional[Tensor]]:
    """See `scan.bwd`."""
    if _compiling():
        if args[0].device.type != checks.KIND:
            return _untraced_scan("bwd", *args)
        return library.scan_bwd(*args) if _HAS_OPERATORS else _scan_bwd(*args)
    if args[0].device.type == checks.KIND:
        return scan.bwd(*args)
    return _reference_scan("bwd", *args)


def conv_fwd(*args: Any) -> Optional[Tensor]:
    """See `conv.causal_conv1d_fwd`."""
    if args[0].device.type == checks.KIND:
        return (_conv_fwd if _compiling() else conv.causal_conv1d_fwd)(*args)
    return (_untraced_conv if _compiling() else _reference_conv)("causal_conv1d_fwd", *args)


def conv_bwd(*args: Any) -> Optional[List[Optional[Tensor]]]:
    """See `conv.causal_conv1d_bwd`."""
    if args[0].device.type == checks.KIND:
        return (_conv_bwd if _compiling() else conv.causal_conv1d_bwd)(*args)
    return (_untraced_conv if _compiling() else _reference_conv)("causal_conv1d_bwd", *args)


def conv_update(*args: Any) -> Optional[Tensor]:
    """See `conv_update.causal_conv1d_update`."""
    if not _compiling() and again(args):
        return None
    if args[0].device.type == checks.KIND:
        return (_conv_update if _compiling() else causal_conv1d_update)(*args)
    return (_untraced_conv if _compiling() else _reference_conv)("causal_conv1d_update", *args)
