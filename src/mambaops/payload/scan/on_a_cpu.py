"""The packages' Triton functions for tensors on a CPU, where Triton has nothing to offer.

The stand-ins call `serve` when the packages import them: norms, Mamba-2's scans, the decoding step and the
states of packed rows then take our PyTorch form for CPU tensors, and stay Triton's on a GPU. Mamba-3 has no PyTorch form: its entry says
so, where Triton would say `'<' not supported between instances of 'dict' and 'dict'`.
"""

from __future__ import annotations

import functools
import importlib.machinery
import inspect
import sys
from typing import Any, Callable, Dict, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .conv import causal_conv1d_fn
from .ssd import chunk_scan_combined
from .state_update import selective_state_update


def add_norm(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    residual: Optional[Tensor] = None,
    eps: float = 1e-6,
    dropout_p: float = 0.0,
    prenorm: bool = False,
    residual_in_fp32: bool = False,
    is_rms_norm: bool = False,
) -> Any:
    """LayerNorm or RMSNorm of ``dropout(x) + residual``; with `prenorm` the sum too.

    The sum is float32 inside and returned in the residual's dtype (x's without one, float32 if asked for).
    """
    total = F.dropout(x.float(), dropout_p) if dropout_p else x.float()
    total = total if residual is None else total + residual.float()
    scale, shift = weight.float(), None if bias is None else bias.float()
    out = _normal(total, eps, is_rms_norm) * scale
    out = out if shift is None else out + shift
    if not prenorm:
        return out.to(x.dtype)
    kept = torch.float32 if residual_in_fp32 else x.dtype
    return out.to(x.dtype), total.to(kept if residual is None else residual.dtype)


def gated_norm(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    z: Optional[Tensor] = None,
    eps: float = 1e-6,
    group_size: Optional[int] = None,
    norm_before_gate: bool = True,
    is_rms_norm: bool = False,
) -> Tensor:
    """A norm over groups of `group_size` channels, gated by ``silu(z)`` before or after it."""
    value, gate = x.float(), None if z is None else F.silu(z.float())
    if gate is not None and not norm_before_gate:
        value = value * gate
    size = group_size or x.shape[-1]
    groups = _normal(value.unflatten(-1, (-1, size)), eps, is_rms_norm)
    out = groups.flatten(-2) * weight.float()
    out = out if bias is None else out + bias.float()
    return (out * gate if gate is not None and norm_before_gate else out).to(x.dtype)


def _normal(value: Tensor, eps: float, is_rms_norm: bool) -> Tensor:
    if is_rms_norm:  # torch has a function for it from 2.4 on only
        return value * torch.rsqrt(value.square().mean(-1, keepdim=True) + eps)
    return F.layer_norm(value, value.shape[-1:], None, None, eps)


def split_conv1d_scan_combined(
    zxbcdt: Tensor,
    conv1d_weight: Tensor,
    conv1d_bias: Optional[Tensor],
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
    chunk_size: int,
    initial_states: Optional[Tensor] = None,
    seq_idx: Optional[Tensor] = None,
    dt_limit: Tuple[float, float] = (0.0, float("inf")),
    return_final_states: bool = False,
    activation: str = "silu",
    rmsnorm_weight: Optional[Tensor] = None,
    rmsnorm_eps: float = 1e-6,
    outproj_weight: Optional[Tensor] = None,
    outproj_bias: Optional[Tensor] = None,
    headdim: Optional[int] = None,
    ngroups: int = 1,
    norm_before_gate: bool = True,
) -> Any:
    """mamba_ssm's ``mamba_split_conv1d_scan_combined``: Mamba-2's block from in_proj to out_proj.

    Args:
        zxbcdt: (batch, length, 2 * dim + 2 * groups * state + heads), dim = heads * head_dim.
        the others: as `chunk_scan_combined` and `causal_conv1d_fn`.

    Returns:
        (batch, length, out_dim)[, final state].
    """
    heads = A.shape[0]
    dim = heads * (D.shape[1] if D.dim() == 2 else int(headdim or 0))
    both = (zxbcdt.shape[-1] - 2 * dim - heads) // 2
    z, xbc, dt = zxbcdt.split([dim, dim + 2 * both, heads], dim=-1)
    xbc = causal_conv1d_fn(
        xbc.transpose(1, 2), conv1d_weight, conv1d_bias, seq_idx, activation=activation
    ).transpose(1, 2)
    x, B, C = xbc.split([dim, both, both], dim=-1)
    x, gate = (t.unflatten(-1, (heads, -1)) for t in (x, z))
    B, C = (t.unflatten(-1, (ngroups, -1)) for t in (B, C))
    y, state = chunk_scan_combined(
        *(x, dt, A, B, C, chunk_size, D),
        z=gate if rmsnorm_weight is None else None,
        dt_bias=dt_bias,
        initial_states=initial_states,
        seq_idx=seq_idx,
        dt_softplus=True,
        dt_limit=dt_limit,
        return_final_states=True,
    )
    y = y.flatten(2)
    if rmsnorm_weight is not None:
        y = gated_norm(
            *(y, rmsnorm_weight, None, z, rmsnorm_eps, dim // ngroups, norm_before_gate, True)
        )
    y = (
        y
        if outproj_weight is None
        else F.linear(y.to(outproj_weight.dtype), outproj_weight, outproj_bias)
    )
    return (y, state) if return_final_states else y


def varlen_states(x: Tensor, cu_seqlens: Tensor, state_len: int) -> Tensor:
    """causal_conv1d's ``causal_conv1d_varlen_states``: the last inputs of each packed sequence.

    Args:
        x: (total, dim). cu_seqlens: (batch + 1,), where each sequence begins, and the end.

    Returns:
        (batch, dim, state_len), zero where a sequence is shorter.
    """
    starts, ends = cu_seqlens[:-1, None].long(), cu_seqlens[1:, None].long()
    at = ends - state_len + torch.arange(state_len, device=x.device)
    return (x[at.clamp(min=0)] * (at >= starts).unsqueeze(-1)).transpose(1, 2).contiguous()


def _no_mamba3(*_args: Any, **_kwargs: Any) -> None:
    raise NotImplementedError(
        "Mamba-3 needs a GPU: mamba_ssm computes it in Triton, found a tensor on the CPU. "
        "Mamba and Mamba-2 run here"
    )


# module -> function -> ours for CPU tensors
SERVED: Dict[str, Dict[str, Callable[..., Any]]] = {
    "causal_conv1d.causal_conv1d_varlen": {"causal_conv1d_varlen_states": varlen_states},
    "mamba_ssm.ops.triton.layer_norm": {
        "layer_norm_fn": add_norm,
        "rms_norm_fn": functools.partial(add_norm, is_rms_norm=True),
    },
    "mamba_ssm.ops.triton.layernorm_gated": {
        "layernorm_fn": gated_norm,
        "rmsnorm_fn": functools.partial(gated_norm, is_rms_norm=True),
    },
    "mamba_ssm.ops.triton.selective_state_update": {
        "selective_state_update": selective_state_update
    },
    "mamba_ssm.ops.triton.ssd_combined": {
        "mamba_chunk_scan_combined": chunk_scan_combined,
        "mamba_split_conv1d_scan_combined": split_conv1d_scan_combined,
    },
    "mamba_ssm.ops.triton.mamba3.mamba3_siso_combined": {"mamba3_siso_combined": _no_mamba3},
}
# its name before mamba_ssm 2.0
SERVED["mamba_ssm.ops.triton.layernorm"] = SERVED["mamba_ssm.ops.triton.layer_norm"]


class _Finder:
    """Finds the modules of `SERVED` as ever, and serves each as soon as it has run."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        spec = importlib.machinery.PathFinder.find_spec(name, path) if name in SERVED else None
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            run(module)
            _serve(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def serve() -> None:
    """Serve what is imported already, and the rest when it is."""
    for name in SERVED:
        if name in sys.modules:
            _serve(sys.modules[name])
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())  # type: ignore[arg-type]


def _serve(module: Any) -> None:
    for name, ours in SERVED[module.__name__].items():
        theirs = getattr(module, name, None)
        if theirs is not None and not hasattr(theirs, "__mambaops_standin__"):
            setattr(module, name, _device_aware(theirs, ours))


def _device_aware(theirs: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
    """`theirs`, with `ours` for CPU tensors."""

    @functools.wraps(theirs)
    def choose(*args: Any, **kwargs: Any) -> Any:
        tensors = (value for value in (*args, *kwargs.values()) if isinstance(value, Tensor))
        if next(tensors).is_cuda:
            return theirs(*args, **kwargs)
        return _called(theirs, ours, args, kwargs)

    choose.__mambaops_standin__ = True  # type: ignore[attr-defined]
    return choose


def _called(
    theirs: Callable[..., Any], ours: Callable[..., Any], args: Any, kwargs: Dict[str, Any]
) -> Any:
    """`ours` with the arguments by name; one that ours lacks must have its default.

    Raises:
        NotImplementedError: an argument that only Triton's function knows was used.
    """
    if ours is _no_mamba3:
        return ours()
    signature = inspect.signature(theirs)
    known = inspect.signature(ours).parameters
    given = signature.bind(*args, **kwargs).arguments
    extra = [n for n in given if n not in known and given[n] != signature.parameters[n].default]
    if extra:
        raise NotImplementedError(
            f"{theirs.__name__}: {', '.join(extra)} needs Triton and a GPU; found a CPU tensor"
        )
    return ours(**{name: value for name, value in given.items() if name in known})
