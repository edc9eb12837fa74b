"""Our functions under the kernels' names, with what transformers expects of a fallback."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

import torch
from torch import Tensor

from . import conv
from .reference import selective_scan
from .ssd import chunk_scan_combined
from .state_update import selective_state_update


def _activated(function: Callable[..., Any], activation: Optional[str], **arguments: Any) -> Any:
    """The convolution with any activation that transformers knows, not just the kernels' two."""
    if activation in (None, "silu", "swish"):
        return function(activation=activation, **arguments)
    from transformers.activations import ACT2FN

    return ACT2FN[activation](function(activation=None, **arguments))


def causal_conv1d_fn(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    activation: Optional[str] = None,
    seq_idx: Optional[Tensor] = None,
    cu_seqlens: Optional[Tensor] = None,
) -> Tensor:
    """`conv.causal_conv1d_fn` in transformers' order of arguments."""
    if cu_seqlens is not None and seq_idx is None:
        raise ValueError(
            "packed rows need seq_idx (batch, length) where no kernel runs; got only cu_seqlens"
        )
    return _activated(
        conv.causal_conv1d_fn, activation, x=x, weight=weight, bias=bias, seq_idx=seq_idx
    )


def causal_conv1d_update(
    x: Tensor,
    conv_state: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    activation: Optional[str] = None,
) -> Tensor:
    """`conv.causal_conv1d_update`, any activation."""
    return _activated(
        conv.causal_conv1d_update, activation, x=x, conv_state=conv_state, weight=weight, bias=bias
    )


def not_fused(first: Any, *args: Any) -> None:
    """transformers takes None for "no fused kernel" and goes through the parts."""


FALLBACKS: Dict[str, Callable[..., Any]] = {
    "causal_conv1d_fn": causal_conv1d_fn,
    "causal_conv1d_update": causal_conv1d_update,
    "mamba_inner_fn": not_fused,
    "mamba_split_conv1d_scan_combined": not_fused,
    "selective_scan_fn": selective_scan,
    "selective_state_update": selective_state_update,
    "mamba_chunk_scan_combined": chunk_scan_combined,
}


def kernel_takes(name: str, first: Tensor, args: Any) -> bool:
    """Shapes that the compiled kernels refuse are ours even where the kernels work."""
    if first.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        return False
    if name in ("causal_conv1d_fn", "causal_conv1d_update"):
        weight = args[0] if name == "causal_conv1d_fn" else args[1]
        channel_last = first.dim() == 3 and first.stride(1) == 1 and first.stride(2) > 1
        return 2 <= weight.shape[1] <= 4 and not (channel_last and first.shape[1] % 8)
    # the state of the selective scan is A's second axis
    return name != "selective_scan_fn" or bool(args[1].shape[1] <= 256)
