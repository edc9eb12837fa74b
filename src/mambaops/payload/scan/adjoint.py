"""The backward sweep of the selective scan: segments in reverse, their states made anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from . import layout
from .recurrence import scan_back_

if TYPE_CHECKING:
    from .work import Piece, ScanWork

_U, _DELTA, _A, _B, _C, _D, _Z, _BIAS = range(8)


class Adjoint:
    """Accumulates the gradients of one scan. A class because every segment adds to all of them."""

    def __init__(
        self,
        work: ScanWork,
        dout: Optional[Tensor],
        dlast: Optional[Tensor],
        starts: Tensor,
        needs: Sequence[bool],
    ) -> None:
        self.work = work
        self.dout = torch.zeros_like(work.given[_U]) if dout is None else dout
        self.dlast = dlast
        self.starts = starts
        self.needs = list(needs[:8])
        self.conjugate = work.A.is_complex()
        self.backA = work.A.conj().resolve_conj() if self.conjugate else work.A
        self.dA = torch.zeros_like(work.A)
        self.dB, self.dC = (self._zeros(work.B, _B), self._zeros(work.C, _C))
        self.dD, self.dbias = (self._zeros(work.D, _D), self._zeros(work.bias, _BIAS))
        self.along: List[Optional[Tensor]] = [
            torch.empty_like(work.given[i]) if self.needs[i] else None for i in (_U, _DELTA, _Z)
        ]

    def _zeros(self, like: Optional[Tensor], index: int) -> Optional[Tensor]:
        return torch.zeros_like(like) if like is not None and self.needs[index] else None

    def run(self) -> Tuple[Optional[Tensor], ...]:
        for rows in self.work.rows:
            self._run_rows(rows)
        given, (du, ddelta, dz) = self.work.given, self.along
        dA = layout.from_per_channel(self.dA, given[_A]) if self.needs[_A] else None
        dB, dC = (self._matrix(self.dB, given[_B]), self._matrix(self.dC, given[_C]))
        dD, dbias = (self._vector(self.dD, given[_D]), self._vector(self.dbias, given[_BIAS]))
        return du, ddelta, dA, dB, dC, dD, dz, dbias

    @staticmethod
    def _matrix(value: Optional[Tensor], like: Tensor) -> Optional[Tensor]:
        if value is None:
            return None
        back = layout.from_per_channel if like.dim() == 2 else layout.from_per_step
        return back(value, like)

    @staticmethod
    def _vector(value: Optional[Tensor], like: Optional[Tensor]) -> Optional[Tensor]:
        return None if value is None or like is None else value.reshape(like.shape).to(like.dtype)

    def _run_rows(self, rows: slice) -> None:
        work = self.work
        count = rows.stop - rows.start
        longest = work.longest()
        decay, adjoint = work.new(longest, count), work.new(longest, count)
        state = work.new(longest + 1, count)
        behind = self._from_last_state(rows)
        for piece in work.pieces_backwards(rows):
            state[0] = self.starts[piece.number, rows]
            now, states = work.states(piece, decay, state)
            dy = self._below_gate(piece, states)
            g = adjoint[: now.shape[0]]
            if self.conjugate:
                now.conj_physical_()
            self._adjoint_states(piece, now, g, dy, behind)
            self._input_gradients(piece, states, g, dy)
            # what this segment hands to the one before it, before g is used up
            behind = now[0] * g[0]
            du, ddt = self._drive_gradients(piece, g, dy)
            self._decay_gradients(piece, states, now, g, ddt)
            self._finish(piece, du, ddt)

    def _from_last_state(self, rows: slice) -> Tensor:
        work, sizes = self.work, self.work.sizes
        if self.dlast is None:
            return torch.zeros_like(work.new(1, rows.stop - rows.start)[0])
        dlast = self.dlast[rows].to(work.kind).reshape(-1, sizes.groups, sizes.heads, sizes.state)
        return dlast.transpose(-1, -2).contiguous()

    def _below_gate(self, piece: Piece, states: Tensor) -> Tensor:
        """dL/dy of the piece; gives z its gradient on the way."""
        dout = self.work.cut(self.dout, piece.rows, piece.segment)
        if piece.z is None:
            return dout
        gate = torch.sigmoid(piece.z)
        silu = gate * piece.z
        if self.along[2] is not None:
            y = self.work.outputs(piece, states[1:])
            slope = gate * (1 + piece.z * (1 - gate))
            self.work.put(self.along[2], piece, dout * y * slope)
        return dout * silu

    def _adjoint_states(
        self, piece: Piece, decay: Tensor, g: Tensor, dy: Tensor, behind: Tensor
    ) -> None:
        C = self.work.during(self.work.C, piece)
        if self.conjugate:
            torch.mul((2 * dy).unsqueeze(-2), C.conj(), out=g)
        else:
            torch.mul(dy.unsqueeze(-2), C, out=g)
        g[-1] += behind
        scan_back_(decay, g, piece.segment.lanes)

    def _input_gradients(self, piece: Piece, states: Tensor, g: Tensor, dy: Tensor) -> None:
        """dB from the adjoint states, dC from the states."""
        if self.dB is not None:
            self._add_matrix(self.dB, piece, g, piece.dt * piece.u)
        if self.dC is not None:
            h = states[1:].conj() if self.conjugate else states[1:]
            self._add_matrix(self.dC, piece, h, 2 * dy if self.conjugate else dy)

    def _add_matrix(self, total: Tensor, piece: Piece, values: Tensor, weights: Tensor) -> None:
        """Add ``values * weights``, summed over what the matrix does not depend on."""
        if total.dim() == 3:
            total += (values * weights.unsqueeze(-2)).sum((0, 1))
            return
        flat = values.reshape((-1,) + tuple(values.shape[-2:]))
        column = weights.to(values.dtype).reshape(flat.shape[0], -1, 1)
        summed = torch.bmm(flat, column).view(tuple(values.shape[:-1]))
        total[piece.segment.start : piece.segment.stop, piece.rows] = summed

    def _drive_gradients(self, piece: Piece, g: Tensor, dy: Tensor) -> Tuple[Tensor, Tensor]:
        """The gradients of u and dt through ``dt * u * B`` (and u's through D)."""
        B = self.work.during(self.work.B, piece)
        through = self.work.read_out(B.conj() if self.conjugate else B, g)
        du = through * piece.dt
        if self.work.D is not None:
            du.addcmul_(dy, self.work.D)
            if self.dD is not None:
                self.dD += (dy * piece.u).sum((0, 1))
        return du, through.mul_(piece.u) if not self.conjugate else through * piece.u

    def _decay_gradients(
        self, piece: Piece, states: Tensor, decay: Tensor, g: Tensor, ddt: Tensor
    ) -> None:
        """Add dt's gradient through ``exp(dt A)`` to `ddt`, and A's; uses up `g` and `decay`."""
        before = states[:-1]
        g.mul_(before.conj() if self.conjugate else before).mul_(decay)
        if self.needs[_DELTA] or self.needs[_BIAS]:
            through = torch.mul(g, self.backA, out=decay).sum(-2)
            ddt += through.real if self.conjugate else through
        if self.needs[_A]:
            self.dA += g.mul_(piece.dt.unsqueeze(-2)).sum((0, 1))

    def _finish(self, piece: Piece, du: Tensor, ddt: Tensor) -> None:
        if self.work.softplus:
            ddt = ddt * torch.sigmoid(piece.raw)
        if self.dbias is not None:
            self.dbias += ddt.sum((0, 1))
        for target, value in zip(self.along, (du, ddt)):
            if target is not None:
                self.work.put(target, piece, value)
