"""Opcodes that stand for integers and for floating-point numbers: add, sub, mul, mad, fma, div."""

from __future__ import annotations

from ..forms import INTEGERS, Form, Modifiers, form
from .floating import arithmetic, fused
from .functions import division
from .integers import PACKED, divided, multiplied, multiplied_and_added, summed


def _whole(mods: Modifiers) -> bool:
    return bool(set(mods.instruction.modifiers) & {*INTEGERS, *PACKED})


@form("add", "sub")
def _add(mods: Modifiers) -> Form:
    return summed(mods) if _whole(mods) else arithmetic(mods)


@form("mul")
def _mul(mods: Modifiers) -> Form:
    return multiplied(mods) if _whole(mods) else arithmetic(mods)


@form("mad")
def _mad(mods: Modifiers) -> Form:
    return multiplied_and_added(mods) if _whole(mods) else fused(mods)


@form("fma")
def _fma(mods: Modifiers) -> Form:
    return fused(mods)


@form("div")
def _div(mods: Modifiers) -> Form:
    return divided(mods) if _whole(mods) else division(mods)
