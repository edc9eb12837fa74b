"""One selective scan at work: segments, their buffers, the forward and the backward sweep.

The buffers are made once per call and reused for every segment: on a CPU, fresh memory for every
intermediate costs more time than the arithmetic.
"""

from __future__ import annotations

from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from . import layout
from .recurrence import Segment, plan_segments, scan_, segment_shape

# Numbers per time step above which the batch is done in pieces on a CPU (docs/benchmarks-scan.md).
_CPU_WIDTH = 1 << 14


class Piece(NamedTuple):
    """A segment of some rows of the batch; tensors are (time, rows, group, head)."""

    rows: slice
    segment: Segment
    number: int
    u: Tensor
    raw: Tensor
    dt: Tensor
    z: Optional[Tensor]


class ScanWork:
    """The arguments of a selective scan in working layout, and buffers for one segment.

    A class because the forward and the backward sweep share a dozen tensors and the buffers.
    """

    def __init__(
        self,
        u: Tensor,
        delta: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Optional[Tensor],
        z: Optional[Tensor],
        delta_bias: Optional[Tensor],
        delta_softplus: bool,
    ) -> None:
        self.sizes = sizes = layout.sizes_of(u, delta, A, B, C)
        self.real = layout.working_dtype(u, delta, A, B, C)
        self.kind = layout.complex_of(self.real) if A.is_complex() else self.real
        self.given = (u, delta, A, B, C, D, z, delta_bias)
        self.softplus = delta_softplus
        self.A = layout.per_channel(A, sizes, self.kind)
        self.B = self._matrix(B)
        self.C = self._matrix(C)
        self.D = self._vector(D)
        self.bias = self._vector(delta_bias)
        self.rows = self._row_blocks()
        width = (self.rows[0].stop if self.rows else 1) * A.numel()
        size, lanes = segment_shape(width, u.device)
        self.segments = plan_segments(sizes.length, size, lanes)

    def _matrix(self, matrix: Tensor) -> Tensor:
        if matrix.dim() == 2:
            return layout.per_channel(matrix, self.sizes, self.kind)
        return layout.per_step(matrix, self.sizes, self.kind)

    def _vector(self, vector: Optional[Tensor]) -> Optional[Tensor]:
        if vector is None:
            return None
        return vector.to(self.real).reshape(self.sizes.groups, self.sizes.heads)

    def _row_blocks(self) -> List[slice]:
        batch = self.sizes.batch
        block = batch
        if self.A.device.type == "cpu":
            block = max(1, min(batch, _CPU_WIDTH // max(self.A.numel(), 1)))
        return [slice(r, min(batch, r + block)) for r in range(0, batch, block)]

    def new(self, steps: int, rows: int) -> Tensor:
        shape = (steps, rows, self.sizes.groups, self.sizes.state, self.sizes.heads)
        return torch.empty(shape, dtype=self.kind, device=self.A.device)

    def longest(self) -> int:
        return max((s.stop - s.start for s in self.segments), default=0)

    # -- cutting ---------------------------------------------------------------------------------

    def cut(self, tensor: Tensor, rows: slice, segment: Segment) -> Tensor:
        """(batch, dim, length) -> (time, rows, group, head) of one segment, in working precision."""
        part = tensor[rows, :, segment.start : segment.stop].permute(2, 0, 1)
        part = part.to(dtype=self.real, memory_format=torch.contiguous_format).contiguous()
        return part.view(part.shape[0], part.shape[1], self.sizes.groups, self.sizes.heads)

    def put(self, target: Tensor, piece: Piece, value: Tensor) -> None:
        """Write (time, rows, group, head) back into (batch, dim, length)."""
        at = target[piece.rows, :, piece.segment.start : piece.segment.stop]
        at.copy_(value.flatten(2).permute(1, 2, 0))

    def _piece(self, rows: slice, number: int) -> Piece:
        segment = self.segments[number]
        u, delta, z = self.given[0], self.given[1], self.given[6]
        raw = self.cut(delta, rows, segment)
        raw = raw if self.bias is None else raw + self.bias
        dt = F.softplus(raw) if self.softplus else raw
        gate = None if z is None else self.cut(z, rows, segment)
        return Piece(rows, segment, number, self.cut(u, rows, segment), raw, dt, gate)

    def during(self, matrix: Tensor, piece: Piece) -> Tensor:
        """B or C of the piece: (time, rows, group, state, 1), or the constant (group, state, head)."""
        if matrix.dim() == 3:
            return matrix
        return matrix[piece.segment.start : piece.segment.stop, piece.rows].unsqueeze(-1)

    # -- the parts of the sweep ------------------------------------------------------------------

    def states(self, piece: Piece, decay: Tensor, state: Tensor) -> Tuple[Tensor, Tensor]:
        """Fill `decay` with exp(dt A) and ``state[1:]`` with the states; returns both, cut to length."""
        steps = piece.dt.shape[0]
        decay, state = decay[:steps], state[: steps + 1]
        torch.mul(piece.dt.unsqueeze(-2), self.A, out=decay)
        decay.exp_()
        drive = (piece.dt * piece.u).unsqueeze(-2)
        torch.mul(drive, self.during(self.B, piece), out=state[1:])
        scan_(decay, state, piece.segment.lanes)
        return decay, state

    def read_out(self, matrix: Tensor, states: Tensor, room: Optional[Tensor] = None) -> Tensor:
        """Sum over the state of ``matrix * states``: (time, rows, group, head), real part if complex."""
        if matrix.dim() == 3:
            read = torch.mul(states, matrix, out=room).sum(-2)
        else:
            flat = states.reshape((-1,) + tuple(states.shape[-2:]))
            read = torch.bmm(matrix.reshape(-1, 1, self.sizes.state), flat)
            read = read.view(tuple(states.shape[:-2]) + (self.sizes.heads,))
        return read.real if read.is_complex() else read

    def outputs(self, piece: Piece, states: Tensor) -> Tensor:
        """C h + D u, before the gate."""
        y = self.read_out(self.during(self.C, piece), states)
        y = 2 * y if self.A.is_complex() else y
        return y if self.D is None else torch.addcmul(y, self.D, piece.u)

    def forward(self, *, keep: bool) -> Tuple[Tensor, Tensor, Optional[Tensor]]:
        """(out, last_state, states at the starts of the segments if `keep`)."""
        u, sizes = self.given[0], self.sizes
        out = torch.empty_like(u)
        last = torch.zeros_like(self.new(1, sizes.batch)[0])
        starts = self.new(len(self.segments), sizes.batch) if keep else None
        for rows in self.rows:
            decay = self.new(self.longest(), rows.stop - rows.start)
            state = self.new(self.longest() + 1, rows.stop - rows.start)
            state[0].zero_()
            for number in range(len(self.segments)):
                if starts is not None:
                    starts[number, rows] = state[0]
                piece = self._piece(rows, number)
                _, states = self.states(piece, decay, state)
                y = self.outputs(piece, states[1:])
                self.put(out, piece, y if piece.z is None else y.mul_(F.silu(piece.z)))
                state[0] = states[-1]
            last[rows] = state[0]
        return out, last.transpose(-1, -2).reshape(sizes.batch, -1, sizes.state), starts

    def backward(
        self,
        dout: Optional[Tensor],
        dlast: Optional[Tensor],
        starts: Tensor,
        needs: Sequence[bool],
    ) -> Tuple[Optional[Tensor], ...]:
        """The gradients of u, delta, A, B, C, D, z, delta_bias (None where not needed)."""
        from .adjoint import Adjoint

        return Adjoint(self, dout, dlast, starts, needs).run()

    def pieces_backwards(self, rows: slice) -> Iterator[Piece]:
        for number in range(len(self.segments) - 1, -1, -1):
            yield self._piece(rows, number)
