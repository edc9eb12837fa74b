"""What the lanes of one warp tell each other: shfl.sync, vote.sync, activemask, bar.warp.sync."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np

from ..binder import Binder, bound
from ..errors import SynchronisationError
from ..forms import Modifiers
from ..machine import DONE, WARP, Machine, Step
from ..text.syntax import Pair
from ..types import PRED, TYPES, U32

_B32 = TYPES["b32"]


def check_members(machine: Machine, members: Any) -> None:
    """That every lane runs which the mask of a running one names, and which has not come to its end.

    Raises:
        SynchronisationError: a lane that is elsewhere, or one that is not in its own mask.
    """
    grid = machine.grid
    if machine.mask is None and (members == np.uint32(0xFFFFFFFF)).all():
        return
    lanes = np.flatnonzero(machine.active)
    masks = np.broadcast_to(members, (grid.lanes,))[lanes]
    alone = (masks >> grid.laneid[lanes] & np.uint32(1)) == 0
    if alone.any():
        raise machine.fault(
            SynchronisationError, "is not in its own member mask", int(lanes[alone][0])
        )
    missing = (
        masks & (ballot(machine, machine.state != DONE) & ~ballot(machine, machine.active))[lanes]
    )
    if missing.any():
        place = int(np.flatnonzero(missing)[0])
        raise machine.fault(
            SynchronisationError,
            "the member mask names lanes that are elsewhere ({:#010x})".format(int(missing[place])),
            int(lanes[place]),
        )


def ballot(machine: Machine, votes: Any) -> Any:
    """For each lane the votes of its warp, one bit per lane."""
    grid = machine.grid
    full = np.zeros(grid.slots, np.uint32)
    full[grid.slot] = votes.astype(np.uint32) << grid.laneid
    each = np.bitwise_or.reduce(full.reshape(-1, WARP), axis=1)
    return each[grid.slot // WARP]


@bound("shfl")
def _shfl(binder: Binder, mods: Modifiers) -> Step:
    mods.choice(("sync",))
    mode = mods.choice(("up", "down", "bfly", "idx"))
    mods.type("b32")
    mods.finish((5,))
    first, a, b, c, members = binder.instruction.operands
    rows = (
        [binder.target(first.first, _B32), binder.target(first.second, PRED)]
        if isinstance(first, Pair)
        else [binder.target(first, _B32), None]
    )
    value, offset, clamp = binder.source(a, _B32), binder.source(b, U32), binder.source(c, U32)
    named, machine = binder.source(members, U32), binder.machine

    def step() -> None:
        check_members(machine, named)
        lanes = machine.grid.laneid.astype(np.int64)
        goal, inside = _lane_of(
            mode, lanes, (offset & np.uint32(31)).astype(np.int64), clamp.astype(np.int64)
        )
        goal = np.where(inside, goal, lanes)
        sent = _fetch(machine, np.broadcast_to(value, lanes.shape), goal - lanes)
        where = True if machine.mask is None else machine.mask
        for row, found in zip(rows, (sent, inside)):
            if row is not None:
                np.copyto(row, found, where=where)

    return step


def _lane_of(mode: str, lane: Any, b: Any, c: Any) -> Any:
    """The lane that each reads, and whether that is within its segment."""
    clamp, segment = c & 31, c >> 8 & 31
    most = (lane & segment) | (clamp & ~segment)
    if mode == "up":
        return lane - b, (lane - b) >= most
    if mode == "down":
        return lane + b, (lane + b) <= most
    goal = (lane ^ b) if mode == "bfly" else (lane & segment) | (b & ~segment)
    return goal, goal <= most


def _fetch(machine: Machine, value: Any, distance: Any) -> Any:
    """The value of the lane `distance` further on.

    Raises:
        SynchronisationError: that lane does not run or does not exist: what it gives is undefined.
    """
    grid = machine.grid
    goal = np.arange(grid.lanes) + distance
    known = goal < grid.lanes
    goal = np.where(known, goal, 0)
    wrong = ~known | (grid.slot[goal] // WARP != grid.slot // WARP)
    if machine.mask is not None:
        wrong = (wrong | ~machine.mask[goal]) & machine.mask
    if wrong.any():
        lane = int(np.flatnonzero(wrong)[0])
        raise machine.fault(SynchronisationError, "reads from a lane that does not take part", lane)
    return value[goal]


@bound("vote")
def _vote(binder: Binder, mods: Modifiers) -> Step:
    mods.choice(("sync",))
    mode = mods.choice(("all", "any", "uni", "ballot"))
    kind = mods.type("b32" if mode == "ballot" else "pred")
    mods.finish((3,))
    to, source, members = binder.instruction.operands
    row, votes = binder.target(to, kind), binder.predicate(source)
    named, machine = binder.source(members, U32), binder.machine

    def compute() -> Any:
        check_members(machine, named)
        here = ballot(machine, machine.active) & named
        yes = (
            ballot(machine, np.broadcast_to(votes(), (machine.grid.lanes,)) & machine.active)
            & named
        )
        found: Dict[str, Any] = {
            "all": yes == here,
            "any": yes != 0,
            "uni": (yes == here) | (yes == 0),
            "ballot": yes,
        }
        return found[mode]

    return binder.assign(row, compute, ())


@bound("activemask")
def _activemask(binder: Binder, mods: Modifiers) -> Step:
    mods.type("b32")
    mods.finish((1,))
    machine = binder.machine
    return binder.assign(
        binder.target(binder.instruction.operands[0], _B32),
        lambda: ballot(machine, machine.active),
        (),
    )


def warp_barrier(binder: Binder, mods: Modifiers) -> Step:
    """bar.warp.sync: all lanes of the mask must be here; in this machine they then are."""
    mods.finish((1,))
    named, machine = binder.source(binder.instruction.operands[0], U32), binder.machine
    return lambda: check_members(machine, named)
