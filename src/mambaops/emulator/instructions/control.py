"""Branches, ends and barriers."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from ..binder import Binder, bound
from ..errors import ExecutionError
from ..forms import Modifiers
from ..machine import Step
from ..text.syntax import Number, Target
from .moves import nothing
from .warps import warp_barrier


@bound("bra")
def _bra(binder: Binder, mods: Modifiers) -> Step:
    mods.any_of("uni")
    mods.finish((1,))
    (target,) = binder.instruction.operands
    assert isinstance(target, Target)
    goal, machine = target.index, binder.machine
    if binder.instruction.guard is None:
        return lambda: goal
    holds = binder.guard()

    def step() -> Optional[int]:
        where = holds()
        taken = where if machine.mask is None else where[machine.mask]
        if taken.all():
            return goal
        return machine.part(where, goal) if taken.any() else None

    return step


@bound("ret", "exit")
def _ret(binder: Binder, mods: Modifiers) -> Step:
    mods.any_of("uni")
    mods.finish((0,))
    machine = binder.machine
    everybody = np.ones(machine.grid.lanes, np.bool_)
    holds = binder.guard() if binder.instruction.guard is not None else lambda: everybody

    def step() -> Optional[int]:
        where = holds()
        return machine.stop(where) if (where & machine.active).any() else None

    return step


@bound("bar", "barrier")
def _bar(binder: Binder, mods: Modifiers) -> Step:
    if binder.instruction.guard is not None:
        raise mods.error("a barrier under a predicate is not supported")
    if mods.opcode == "bar" and mods.flag("warp"):
        mods.choice(("sync",))
        return warp_barrier(binder, mods)
    mods.any_of("cta", "aligned")
    mods.choice(("sync",))
    mods.finish((1, 2))
    numbers = binder.instruction.operands
    if not all(isinstance(one, Number) for one in numbers):
        raise mods.error("only barriers with constant numbers are supported")
    barrier, *count = (int(one.value) for one in numbers if isinstance(one, Number))
    machine = binder.machine
    if count and count[0] != machine.grid.threads:
        raise mods.error("a barrier for a part of the block is not supported")
    return lambda: machine.wait(barrier)


@bound("membar", "fence")
def _fence(binder: Binder, mods: Modifiers) -> Step:
    mods.any_of("cta", "gl", "sys", "gpu", "cluster", "sc", "acq_rel")
    mods.finish((0,))
    return nothing(binder.machine)


@bound("trap")
def _trap(binder: Binder, mods: Modifiers) -> Step:
    mods.finish((0,))
    machine = binder.machine

    def step() -> Any:
        raise machine.fault(ExecutionError, "trap", int(np.flatnonzero(machine.active)[0]))

    return step
