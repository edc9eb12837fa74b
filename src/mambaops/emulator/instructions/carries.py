"""Arithmetic with the carry flag: add.cc, addc, sub.cc, subc, mad.cc, madc."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import numpy as np

from ..binder import Binder, bound
from ..forms import Modifiers
from ..machine import Step
from ..types import UNSIGNED, Type
from .integers import high_product

_TYPES = ("u32", "s32", "u64", "s64")


@bound("add.cc", "addc", "addc.cc", "sub.cc", "subc", "subc.cc")
def _sum(binder: Binder, mods: Modifiers) -> Step:
    sets, kind = mods.flag("cc"), mods.type(*_TYPES)
    mods.finish((3,))
    return _step(binder, kind, sets, None)


@bound("mad.cc", "madc", "madc.cc")
def _mad(binder: Binder, mods: Modifiers) -> Step:
    part = mods.choice(("lo", "hi"))
    sets, kind = mods.flag("cc"), mods.type(*_TYPES)
    mods.finish((4,))
    return _step(binder, kind, sets, part)


def _step(binder: Binder, kind: Type, sets: bool, part: Optional[str]) -> Step:
    one, machine = binder.instruction, binder.machine
    sources = [binder.source(operand, kind) for operand in one.operands[1:]]
    row = binder.target(one.operands[0], kind)
    takes, minus = one.opcode.endswith("c"), one.opcode.startswith("sub")
    unsigned = UNSIGNED[kind.bits]

    def step() -> None:
        a, b = _terms(sources, kind, part)
        carry = machine.carry if takes else np.zeros(1, np.bool_)
        found, out = _subtract(a, b, carry) if minus else _add(a, b, carry)
        where = True if machine.mask is None else machine.mask
        np.copyto(row, found.astype(unsigned).view(kind.dtype), where=where)
        if sets:
            np.copyto(machine.carry, out, where=where)

    return step


def _terms(sources: Any, kind: Type, part: Optional[str]) -> Tuple[Any, Any]:
    unsigned = UNSIGNED[kind.bits]
    if part is None:
        return sources[0].view(unsigned), sources[1].view(unsigned)
    a, b, c = sources
    product = high_product(a, b, kind) if part == "hi" else a * b
    return product.view(unsigned), c.view(unsigned)


def _add(a: Any, b: Any, carry: Any) -> Tuple[Any, Any]:
    total = a + b
    found = total + carry.astype(a.dtype)
    return found, (total < a) | (found < total)


def _subtract(a: Any, b: Any, borrow: Any) -> Tuple[Any, Any]:
    rest = a - b
    found = rest - borrow.astype(a.dtype)
    return found, (a < b) | (rest < found)
