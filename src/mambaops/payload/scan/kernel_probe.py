"""Launch the real kernels once on one device, in a process of its own, and say what happened.

`verdict.py` starts this and reads its lines: ``begin`` before each function, then ``done`` with an
error or none. A crash or a hang therefore names its function and harms only this process. A kernel
passes if it ran forward (and backward, where training uses it) and its numbers are the reference's.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Callable, Dict, List, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from .conv import causal_conv1d_fn, causal_conv1d_update
from .kernel_loading import load
from .names import KERNELS, MARK
from .reference import selective_scan
from .ssd import chunk_scan_combined
from .state_update import selective_state_update

_BATCH, _DIM, _LENGTH, _STATE, _RANK = 2, 64, 32, 16, 4


class WrongNumbers(Exception):
    """A kernel ran and its result is not the reference's."""


def main(job: Dict[str, Any]) -> None:
    """Run the probes that `job` names: {"names": […], "device": index or None (import only)}."""
    for name in job["names"]:
        _tell({"begin": name})
        answer = {"done": name, "error": None, "device": job["device"], "standin": False}
        try:
            function = load(name)
            _tell({"loaded": name})
            answer["standin"] = _is_standin(name)
            if job["device"] is not None:
                answer.update(_launch(name, function, job["device"]))
        except Exception as error:
            answer["error"] = f"{type(error).__name__}: {error}"
        _tell(answer)


def _tell(line: Dict[str, Any]) -> None:
    sys.stdout.write(MARK + json.dumps(line) + "\n")
    sys.stdout.flush()


def _is_standin(name: str) -> bool:
    module = sys.modules.get(KERNELS[name].extension)
    return bool(getattr(module, "__mambaops_standin__", False))


def _launch(name: str, function: Callable[..., Any], device: int) -> Dict[str, Any]:
    torch.cuda.set_device(device)
    torch.manual_seed(0)
    detail = _PROBES[name](function, torch.device("cuda", device))
    torch.cuda.synchronize(device)
    return detail or {}


def _random(*shape: int) -> Tensor:
    return torch.randn(shape)


def _agree(
    kernel: Callable[..., Any],
    ours: Callable[..., Any],
    tensors: List[Tensor],
    device: Any,
    train: bool,
) -> None:
    """Run both on the same numbers, ours on the CPU; compare results and gradients."""
    results = []
    for function, place in ((kernel, device), (ours, torch.device("cpu"))):
        # a copy, since some functions write to their state
        inputs = [t.to(place, copy=True).requires_grad_(train) for t in tensors]
        with torch.set_grad_enabled(train):
            out = function(*inputs)
        grads = torch.autograd.grad(out.square().sum(), inputs) if train else ()
        results.append([out.detach().cpu(), *(g.cpu() for g in grads)])
    for got, wanted in zip(*results):
        error = float((got - wanted).abs().max() / (wanted.abs().max() + 1e-6))
        if not error < 2e-3:
            raise WrongNumbers(f"its result is off by {error:.1e} of the largest value")


def _with_state(out: Tensor, state: Tensor) -> Tensor:
    """The output and the state that was moved on, to be compared together."""
    return torch.cat([out.flatten(), state.flatten()])


def _probe_conv(function: Callable[..., Any], device: Any) -> None:
    tensors = [_random(_BATCH, _DIM, _LENGTH), _random(_DIM, 4), _random(_DIM)]

    def call(convolve: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x, w, b: convolve(x, w, b, activation="silu")

    _agree(call(function), call(causal_conv1d_fn), tensors, device, train=True)


def _probe_conv_update(function: Callable[..., Any], device: Any) -> None:
    tensors = [_random(_BATCH, _DIM), _random(_BATCH, _DIM, 4), _random(_DIM, 4), _random(_DIM)]

    def call(update: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x, s, w, b: _with_state(update(x, s, w, b, "silu"), s)

    _agree(call(function), call(causal_conv1d_update), tensors, device, train=False)


def scan_arguments(dim: int = _DIM, length: int = _LENGTH) -> List[Tensor]:
    """u, delta, A, B, C, D, z, delta_bias of a scan as a Mamba block makes them."""
    return [
        _random(_BATCH, dim, length),
        _random(_BATCH, dim, length) * 0.5,
        -torch.arange(1.0, _STATE + 1).repeat(dim, 1),
        _random(_BATCH, _STATE, length),
        _random(_BATCH, _STATE, length),
        _random(dim),
        _random(_BATCH, dim, length),
        _random(dim) - 3,
    ]


def _probe_scan(function: Callable[..., Any], device: Any) -> None:
    def call(scan: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *inputs: scan(*inputs, delta_softplus=True)

    _agree(call(function), call(selective_scan), scan_arguments(), device, train=True)


def _probe_inner(function: Callable[..., Any], device: Any) -> None:
    A = -torch.arange(1.0, _STATE + 1).repeat(_DIM, 1)
    tensors = [
        _random(_BATCH, 2 * _DIM, _LENGTH),
        _random(_DIM, 1, 4),
        _random(_DIM),
        _random(_RANK + 2 * _STATE, _DIM) * _DIM**-0.5,
        _random(_DIM, _RANK) * 0.1,
        _random(32, _DIM) * _DIM**-0.5,
        A,
        _random(_DIM),
        _random(_DIM) - 3,
    ]

    def fused(xz: Any, cw: Any, cb: Any, xw: Any, dw: Any, ow: Any, A: Any, D: Any, b: Any) -> Any:
        return function(
            xz, cw, cb, xw, dw, ow, None, A, None, None, D, delta_bias=b, delta_softplus=True
        )

    _agree(fused, _inner_in_parts, tensors, device, train=True)


def _inner_in_parts(
    xz: Tensor,
    cw: Tensor,
    cb: Tensor,
    xw: Tensor,
    dw: Tensor,
    ow: Tensor,
    A: Tensor,
    D: Tensor,
    b: Tensor,
) -> Tensor:
    """What `mamba_inner_fn` fuses."""
    x, z = xz.chunk(2, dim=1)
    x = causal_conv1d_fn(x, cw.squeeze(1), cb, activation="silu")
    dt, B, C = (xw @ x).split([_RANK, _STATE, _STATE], dim=1)
    y = selective_scan(x, dw @ dt, A, B, C, D, z, b, True)
    return F.linear(y.transpose(1, 2), ow)


def _probe_state_update(function: Callable[..., Any], device: Any) -> None:
    u, delta, A, B, C, D, z, bias = scan_arguments()
    tensors = [
        _random(_BATCH, _DIM, _STATE),
        u[..., 0],
        delta[..., 0],
        A,
        B[..., 0],
        C[..., 0],
        D,
        z[..., 0],
        bias,
    ]

    def call(update: Callable[..., Any]) -> Callable[..., Any]:
        return lambda state, *inputs: _with_state(
            update(state, *(t.contiguous() for t in inputs), dt_softplus=True), state
        )

    _agree(call(function), call(selective_state_update), tensors, device, train=False)


def _ssd_arguments() -> List[Tensor]:
    heads = _DIM // 16
    return [
        _random(_BATCH, _LENGTH, heads, 16),
        _random(_BATCH, _LENGTH, heads),
        -torch.arange(1.0, heads + 1),
        _random(_BATCH, _LENGTH, 1, _STATE),
        _random(_BATCH, _LENGTH, 1, _STATE),
        _random(heads),
        _random(heads) - 3,
    ]


def _probe_chunk_scan(function: Callable[..., Any], device: Any) -> None:
    def call(scan: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x, dt, A, B, C, D, b: scan(
            x, dt, A, B, C, chunk_size=16, D=D, dt_bias=b, dt_softplus=True
        )

    _agree(call(function), call(chunk_scan_combined), _ssd_arguments(), device, train=True)


def _probe_split_scan(function: Callable[..., Any], device: Any) -> None:
    heads, conv_dim = _DIM // 16, _DIM + 2 * _STATE
    tensors = [
        _random(_BATCH, _LENGTH, _DIM + conv_dim + heads),
        _random(conv_dim, 4),
        _random(conv_dim),
        _random(heads) - 3,
        -torch.arange(1.0, heads + 1),
        _random(heads),
    ]

    def fused(*inputs: Tensor) -> Tensor:
        return function(*inputs, chunk_size=16, headdim=16, ngroups=1)

    _agree(fused, _split_in_parts, tensors, device, train=True)


def _split_in_parts(
    zxbcdt: Tensor, weight: Tensor, bias: Tensor, dt_bias: Tensor, A: Tensor, D: Tensor
) -> Tensor:
    """What `mamba_split_conv1d_scan_combined` fuses."""
    heads = A.shape[0]
    z, xbc, dt = zxbcdt.split([_DIM, _DIM + 2 * _STATE, heads], dim=-1)
    xbc = causal_conv1d_fn(xbc.transpose(1, 2), weight, bias, activation="silu")
    x, B, C = xbc.transpose(1, 2).split([_DIM, _STATE, _STATE], dim=-1)
    x, z = (t.reshape(_BATCH, _LENGTH, heads, 16) for t in (x, z))
    y = chunk_scan_combined(
        x, dt, A, B.unsqueeze(2), C.unsqueeze(2), 16, D=D, z=z, dt_bias=dt_bias, dt_softplus=True
    )
    return y.flatten(2)


def _probe_triton_scan(function: Callable[..., Any], device: Any) -> Dict[str, Any]:
    """Right, and by how much faster than the chunked scan at a usual size."""
    _probe_scan(function, device)
    inputs = [t.to(device).requires_grad_() for t in scan_arguments(1536, 512)]

    def milliseconds(scan: Callable[..., Any]) -> float:
        best = float("inf")
        for _ in range(4):
            torch.cuda.synchronize(device)
            started = time.perf_counter()
            scan(*inputs, delta_softplus=True).sum().backward()
            torch.cuda.synchronize(device)
            best = min(best, time.perf_counter() - started)
        return best * 1e3

    return {"triton_ms": milliseconds(function), "chunked_ms": milliseconds(selective_scan)}


_PROBES: Dict[str, Callable[[Callable[..., Any], Any], Optional[Dict[str, Any]]]] = {
    "causal_conv1d_fn": _probe_conv,
    "causal_conv1d_update": _probe_conv_update,
    "selective_scan_fn": _probe_scan,
    "mamba_inner_fn": _probe_inner,
    "selective_state_update": _probe_state_update,
    "mamba_chunk_scan_combined": _probe_chunk_scan,
    "mamba_split_conv1d_scan_combined": _probe_split_scan,
    "triton_scan": _probe_triton_scan,
}
