"""The selective scan by Triton kernels, for a GPU without compiled ones.

`dispatch` takes it only where a probe measured it to be faster than the chunked scan on that very GPU.
What the kernels do not cover (complex A, constant or grouped B and C, double precision) goes to the
chunked scan. On the CPU it runs under Triton's interpreter (``TRITON_INTERPRET=1``), for tests.
"""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple, Optional, Tuple

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import reference
from .triton_kernels import backward_kernel, forward_kernel

_CHUNK = 32
# Programs to have at least, so that a large GPU (132 multiprocessors) is not left idle.
_PROGRAMS = 264


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Optional[Tensor] = None,
    z: Optional[Tensor] = None,
    delta_bias: Optional[Tensor] = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
) -> Any:
    """`reference.selective_scan`, by Triton where its kernels cover the arguments."""
    if not covers(u, A, B, C):
        return reference.selective_scan(
            u, delta, A, B, C, D, z, delta_bias, delta_softplus, return_last_state
        )
    out, last = _TritonScan.apply(u, delta, A, B, C, D, z, delta_bias, delta_softplus)
    return (out, last) if return_last_state else out


def covers(u: Tensor, A: Tensor, B: Tensor, C: Tensor) -> bool:
    """Real A in single precision, B and C that vary over time and are shared by all channels."""
    shared = all(m.dim() == 3 or (m.dim() == 4 and m.shape[1] == 1) for m in (B, C))
    kinds = (torch.float32, torch.float16, torch.bfloat16)
    return shared and u.dtype in kinds and A.dtype in kinds and u.numel() > 0 and A.shape[1] <= 256


class _Arguments(NamedTuple):
    """What the kernels read: u, delta, z (batch, length, dim); A (dim, state); B, C (batch, length,
    state); D, bias (dim,). Absent ones are u, which the kernel then does not touch."""

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor
    z: Tensor
    bias: Tensor


def _by_step(value: Tensor) -> Tensor:
    """(batch, dim, length) -> (batch, length, dim), contiguous."""
    return value.transpose(1, 2).contiguous()


def _matrix(value: Tensor) -> Tensor:
    return _by_step(value.reshape(value.shape[0], value.shape[-2], value.shape[-1]).float())


def _arguments(inputs: Tuple[Any, ...]) -> _Arguments:
    u, delta, A, B, C, D, z, bias = inputs
    steps = _by_step(u)
    return _Arguments(
        steps,
        _by_step(delta),
        A.float().contiguous(),
        _matrix(B),
        _matrix(C),
        steps if D is None else D.float().contiguous(),
        steps if z is None else _by_step(z),
        steps if bias is None else bias.float().contiguous(),
    )


class _Shape(NamedTuple):
    batch: int
    length: int
    dim: int
    state: int
    chunks: int
    block_d: int
    blocks: int

    @property
    def numbers(self) -> Tuple[int, int, int, int]:
        return self.length, self.dim, self.state, self.chunks


def _shape(given: _Arguments) -> _Shape:
    batch, length, dim = given.u.shape
    block = 32
    while block > 8 and batch * triton.cdiv(dim, block) < _PROGRAMS:
        block //= 2
    chunks = triton.cdiv(length, _CHUNK)
    return _Shape(batch, length, dim, given.A.shape[1], chunks, block, triton.cdiv(dim, block))


def _flags(inputs: Tuple[Any, ...], softplus: bool, shape: _Shape) -> Any:
    return {
        "HAS_D": inputs[5] is not None,
        "HAS_Z": inputs[6] is not None,
        "HAS_BIAS": inputs[7] is not None,
        "SOFTPLUS": softplus,
        "CHUNK": _CHUNK,
        "BLOCK_D": shape.block_d,
        "BLOCK_N": triton.next_power_of_2(shape.state),
        "num_warps": 1,
    }


def _on(device: "torch.device") -> Any:
    """Kernels are launched on the current device: make the tensors' device that."""
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


class _TritonScan(torch.autograd.Function):
    """Arguments as `selective_scan`; always returns (out, last_state), both differentiable."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tuple[Tensor, Tensor]:
        inputs, softplus = arguments[:8], arguments[8]
        given = _arguments(inputs)
        shape, u = _shape(given), inputs[0]
        keep = any(ctx.needs_input_grad)
        out = torch.empty_like(given.u)
        last = u.new_empty((shape.batch, shape.dim, shape.state), dtype=torch.float32)
        kept = (shape.batch, shape.chunks if keep else 0, shape.dim, shape.state)
        starts = u.new_empty(kept, dtype=torch.float32)
        with _on(u.device):
            forward_kernel[(shape.blocks, shape.batch)](
                *given,
                out,
                starts,
                last,
                *shape.numbers,
                KEEP=keep,
                **_flags(inputs, softplus, shape),
            )
        ctx.save_for_backward(*inputs, starts)
        ctx.softplus = softplus
        ctx.set_materialize_grads(False)
        return out.transpose(1, 2), last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Optional[Tensor], dlast: Optional[Tensor]) -> Tuple[Any, ...]:
        *inputs, starts = ctx.saved_tensors
        dout = torch.zeros_like(inputs[0]) if dout is None else dout
        grads = _gradients(tuple(inputs), dout, dlast, starts, ctx.softplus)
        return (
            *(
                grad.to(like.dtype) if like is not None and needed else None
                for grad, like, needed in zip(grads, inputs, ctx.needs_input_grad)
            ),
            None,
        )


def _gradients(
    inputs: Tuple[Any, ...],
    dout: Tensor,
    dlast: Optional[Tensor],
    starts: Tensor,
    softplus: bool,
) -> Tuple[Tensor, ...]:
    """Of u, delta, A, B, C, D, z, delta_bias, in the shapes of these."""
    given = _arguments(inputs)
    shape = _shape(given)

    def new(*sizes: int) -> Tensor:
        return given.u.new_empty(sizes, dtype=torch.float32)

    du, ddelta, dz = (torch.empty_like(t) for t in (given.u, given.delta, given.z))
    dA = new(shape.batch, shape.dim, shape.state)
    dB, dC = (new(shape.batch, shape.blocks, shape.length, shape.state) for _ in range(2))
    dD, dbias = (new(shape.batch, shape.dim) for _ in range(2))
    flags = _flags(inputs, softplus, shape)
    room = new(shape.batch, shape.blocks, _CHUNK, shape.block_d * flags["BLOCK_N"])
    with _on(given.u.device):
        backward_kernel[(shape.blocks, shape.batch)](
            *given,
            _by_step(dout),
            starts if dlast is None else dlast.float().contiguous(),
            starts,
            room,
            du,
            ddelta,
            dz,
            dA,
            dB,
            dC,
            dD,
            dbias,
            *shape.numbers,
            HAS_LAST=dlast is not None,
            **flags,
        )
    matrices = (
        total.sum(1).transpose(1, 2).reshape(like.shape)
        for total, like in zip((dB, dC), inputs[3:5])
    )
    turned = (t.transpose(1, 2) for t in (du, ddelta, dz))
    first, second, third = turned
    return (first, second, dA.sum(0), *matrices, dD.sum(0), third, dbias.sum(0))
