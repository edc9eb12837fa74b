"""`causal_conv1d_cuda`'s three functions in plain PyTorch, for every generation of their callers.

The compiled functions changed their arguments three times; the number of arguments tells which:

    fwd      4: x, weight, bias, silu                              causal-conv1d 1.0
             5: … seq_idx, silu                                    1.1
             7: … seq_idx, initial, final_out, silu                1.2 - 1.5.0
             8: … seq_idx, initial, out, final_out, silu           1.5.1 on; writes to out
    bwd      6, 7, 10, 12 likewise
    update   5: x, state, weight, bias, silu                       1.0 - 1.3
             6, 7: … cache_seqlens[, state_indices]                1.4, 1.5.0
             8: x, state, weight, bias, out, silu, cache_seqlens, state_indices   1.5.1 on
"""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

import torch
from torch import Tensor

from .conv import causal_conv1d_fn, tap_masks, with_past
from .conv import causal_conv1d_update as _update
from .layout import working_dtype


class _Call:
    """The arguments of one call, whatever the generation. Optional ones are None."""

    seq_idx: Optional[Tensor] = None
    initial: Optional[Tensor] = None
    final: Optional[Tensor] = None
    silu: bool = False

    def masks(self, width: int) -> List[Tensor]:
        """Per tap: does it stay inside its packed sequence?"""
        assert self.seq_idx is not None
        return tap_masks(self.seq_idx, width, self.initial is not None)


def _wrong_count(name: str, count: int, wanted: str) -> TypeError:
    return TypeError(
        f"{name}(): {count} arguments, but every known causal-conv1d passes {wanted}; "
        "this is mambaops' stand-in for the compiled function, which does not know that release"
    )


def causal_conv1d_fwd(*args: Any) -> Optional[Tensor]:
    """The convolution's output (batch, dim, length); generation D writes it to `out` instead."""
    x, weight, bias = args[:3]
    call, out = _Call(), None
    call.silu = args[-1]
    if len(args) == 5:
        call.seq_idx = args[3]
    elif len(args) == 7:
        call.seq_idx, call.initial, call.final = args[3:6]
    elif len(args) == 8:
        call.seq_idx, call.initial, out, call.final = args[3:7]
    elif len(args) != 4:
        raise _wrong_count("causal_conv1d_fwd", len(args), "4, 5, 7 or 8")
    with torch.no_grad():
        result = _forward(x, weight, bias, call)
    if out is None:
        return result
    out.copy_(result)
    return None


def _forward(x: Tensor, weight: Tensor, bias: Optional[Tensor], call: _Call) -> Tensor:
    activation = "silu" if call.silu else None
    if call.final is None:
        return causal_conv1d_fn(x, weight, bias, call.seq_idx, call.initial, activation=activation)
    out, _ = causal_conv1d_fn(
        x, weight, bias, None, call.initial, True, call.final, activation=activation
    )
    return out


def causal_conv1d_bwd(*args: Any) -> Optional[List[Optional[Tensor]]]:
    """[dx, dweight, dbias] (from 1.2 on also dinitial); generation D writes to its arguments.

    A `dx` that is passed is written to.
    """
    x, weight, bias, dout = args[:4]
    call, dfinal = _Call(), None
    call.silu = args[-1]
    targets: Tuple[Optional[Tensor], ...] = (None, None, None, None)
    if len(args) == 6:
        targets = (args[4], None, None, None)
    elif len(args) == 7:
        call.seq_idx, targets = args[4], (args[5], None, None, None)
    elif len(args) == 10:
        call.seq_idx, call.initial, dfinal = args[4:7]
        targets = (args[7], None, None, None)
    elif len(args) == 12:
        call.seq_idx, call.initial, dfinal = args[4:7]
        targets = args[7:11]
    else:
        raise _wrong_count("causal_conv1d_bwd", len(args), "6, 7, 10 or 12")
    with torch.no_grad():
        grads = _gradients((x, weight, bias), dout, dfinal, call)
    done = [_written(target, grad) for target, grad in zip(targets, grads)]
    if len(args) == 12:
        return None
    if len(args) == 10:
        # whether the initial states' gradient is wanted is said in the last but one argument
        return done if args[8] else [*done[:3], None]
    return done[:3]


def _written(target: Optional[Tensor], value: Optional[Tensor]) -> Optional[Tensor]:
    return value if target is None or value is None else target.copy_(value)


def _gradients(
    inputs: Tuple[Tensor, Tensor, Optional[Tensor]],
    dout: Tensor,
    dfinal: Optional[Tensor],
    call: _Call,
) -> List[Optional[Tensor]]:
    """Gradients of x, weight, bias, initial states, written out: callers run us where autograd is off."""
    x, weight, bias = inputs
    kind, length, width = working_dtype(x, weight), x.shape[-1], weight.shape[1]
    past = with_past(x, width, call.initial).to(kind)
    dpre = dout.to(kind)
    if call.silu:
        plain = _Call()
        plain.seq_idx, plain.initial = call.seq_idx, call.initial
        pre = _forward(x.to(kind), weight.to(kind), bias, plain)
        gate = torch.sigmoid(pre)
        dpre = dpre * gate * (1 + pre * (1 - gate))
    if call.seq_idx is not None:
        dpre = dpre.masked_fill((call.seq_idx < 0).unsqueeze(1), 0)
    dpast = torch.zeros_like(past)
    if dfinal is not None:
        dpast[..., length:] += dfinal
    dweight = torch.empty_like(weight, dtype=kind)
    for k in range(width):
        reached = dpre if call.seq_idx is None else dpre * call.masks(width)[k]
        dweight[:, k] = (reached * past[..., k : k + length]).sum((0, 2))
        dpast[..., k : k + length] += reached * weight[:, k, None].to(kind)
    dbias = None if bias is None else dpre.sum((0, 2)).to(bias.dtype)
    dinitial = None if call.initial is None else dpast[..., : width - 1].to(call.initial.dtype)
    return [dpast[..., width - 1 :].to(x.dtype), dweight.to(weight.dtype), dbias, dinitial]


def causal_conv1d_update(*args: Any) -> Optional[Tensor]:
    """Decoding steps; the state moves on in place. Generation D writes its output to `out`."""
    x, state, weight, bias = args[:4]
    out, seqlens, indices = None, None, None
    if len(args) == 8:
        out, silu, seqlens, indices = args[4:]
    elif len(args) in (5, 6, 7):
        silu, seqlens, indices = (*args[4:], None, None)[:3]
    else:
        raise _wrong_count("causal_conv1d_update", len(args), "5, 6, 7 or 8")
    with torch.no_grad():
        result = _update(x, state, weight, bias, "silu" if silu else None, seqlens, indices)
    if out is None:
        return result
    out.copy_(result)
    return None
