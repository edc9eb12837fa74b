"""The linear recurrence ``h[t] = a[t] * h[t-1] + b[t]``, in place, forwards and for the adjoint.

Only products of decays appear, never quotients: with ``|a| <= 1`` nothing overflows, however long the
sequence. Two shapes of work, the same result up to rounding:

* one lane: a multiply-add per time step on a slice that stays in the processor's cache (CPU);
* several lanes: the segment is cut into `lanes` runs, step `t` of all runs is one operation, then the
  runs are chained through the products of their decays (GPU, where a launch costs more than its work).
"""

from __future__ import annotations

from typing import List, NamedTuple, Tuple

import torch
from torch import Tensor


class Segment(NamedTuple):
    """Time steps ``start <= t < stop``, done in `lanes` runs of equal length."""

    start: int
    stop: int
    lanes: int


def plan_segments(length: int, size: int, lanes: int) -> List[Segment]:
    """Cut `length` steps into segments of `size` steps at most, each a multiple of its lanes.

    What `lanes` does not divide at the end goes in one lane.
    """
    size = max(1, size // lanes) * lanes
    whole, even = length - length % size, length - length % lanes
    segments = [Segment(t, t + size, lanes) for t in range(0, whole, size)]
    if even > whole:
        segments.append(Segment(whole, even, lanes))
    if length > even:
        segments.append(Segment(even, length, 1))
    return segments


def segment_shape(width: int, device: "torch.device") -> Tuple[int, int]:
    """Steps per segment and lanes, for `width` numbers per time step.

    The figures are measured (docs/benchmarks-scan.md): a segment's four buffers should stay in the
    cache of a CPU; on a GPU a segment should be few launches, yet small beside the model.
    """
    if device.type != "cpu":
        steps = max(32, min(256, (1 << 26) // max(width, 1)))
        steps = 1 << (steps.bit_length() - 1)
        return steps, max(4, int(steps**0.5))
    # Several threads have to be brought together for every operation, which takes long where other
    # programs want the cores too: give them more to do each time.
    budget, most = (1 << 20, 64) if torch.get_num_threads() == 1 else (1 << 22, 128)
    steps = max(16, min(most, budget // max(width, 1)))
    return 1 << (steps.bit_length() - 1), 1


def scan_(decay: Tensor, state: Tensor, lanes: int = 1) -> None:
    """Turn inputs into states, in place.

    Args:
        decay: `a`, shape (S, …).
        state: shape (S + 1, …); slot 0 holds the state before the segment, slot ``t + 1`` holds
            ``b[t]`` on entry and ``h[t]`` on return.
    """
    if lanes > 1:
        _scan_in_lanes_(decay, state, lanes)
        return
    before, *slots = state.unbind(0)
    for a, slot in zip(decay.unbind(0), slots):
        before = slot.addcmul_(a, before)


def scan_back_(decay: Tensor, adjoint: Tensor, lanes: int = 1) -> None:
    """The adjoint recurrence ``g[t] += a[t+1] * g[t+1]``, in place.

    Args:
        decay: `a` (conjugated if complex), shape (S, …); ``decay[0]`` is not used.
        adjoint: ``dL/dh[t]`` from the outputs alone on entry, in full on return; shape (S, …). What
            comes from later segments must have been added to the last slot.
    """
    if lanes > 1:
        _scan_back_in_lanes_(decay, adjoint, lanes)
        return
    slots = adjoint.unbind(0)
    decays = decay.unbind(0)
    for t in range(len(slots) - 2, -1, -1):
        slots[t].addcmul_(decays[t + 1], slots[t + 1])


def _scan_in_lanes_(decay: Tensor, state: Tensor, lanes: int) -> None:
    steps = decay.shape[0] // lanes
    shape = (lanes, steps) + tuple(decay.shape[1:])
    state[1].addcmul_(decay[0], state[0])
    a, h = decay.view(shape), state[1:].view(shape)
    product = decay.clone().view(shape)
    for t in range(1, steps):
        h[:, t].addcmul_(a[:, t], h[:, t - 1])
        product[:, t].mul_(product[:, t - 1])
    last = steps - 1
    for run in range(1, lanes):
        h[run, last].addcmul_(product[run, last], h[run - 1, last])
    if last:
        h[1:, :last].addcmul_(product[1:, :last], h[:-1, last:])


def _scan_back_in_lanes_(decay: Tensor, adjoint: Tensor, lanes: int) -> None:
    steps = decay.shape[0] // lanes
    shape = (lanes, steps) + tuple(decay.shape[1:])
    # product[t] carries what lies behind the run's end back to t; the last slot of all is never used
    product = torch.cat([decay[1:], torch.ones_like(decay[:1])]).view(shape)
    g = adjoint.view(shape)
    for t in range(steps - 2, -1, -1):
        g[:, t].addcmul_(product[:, t], g[:, t + 1])
    for t in range(steps - 2, -1, -1):
        product[:, t].mul_(product[:, t + 1])
    for run in range(lanes - 2, -1, -1):
        g[run, 0].addcmul_(product[run, 0], g[run + 1, 0])
    if steps > 1:
        g[:-1, 1:].addcmul_(product[:-1, 1:], g[1:, :1])
