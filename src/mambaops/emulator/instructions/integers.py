"""Integer arithmetic. Overflow wraps; numpy does the same for arrays of fixed width."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..forms import INTEGERS, Form, Modifiers, form
from ..types import TYPES, UNSIGNED, Type

PACKED = ("u16x2", "s16x2")


def _wide(kind: Type) -> Type:
    return TYPES[kind.kind + str(2 * kind.bits)]


def high_product(a: Any, b: Any, kind: Type) -> Any:
    """The upper half of a * b."""
    if kind.bits < 64:
        wide = _wide(kind).dtype
        return (a.astype(wide) * b.astype(wide) >> wide(kind.bits)).astype(kind.dtype)
    x, y = a.view(np.uint64), b.view(np.uint64)
    found = _high64(x, y)
    if kind.kind == "s":
        found = found - np.where(a < 0, y, np.uint64(0)) - np.where(b < 0, x, np.uint64(0))
    return found.view(kind.dtype)


def _high64(x: Any, y: Any) -> Any:
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    x0, x1, y0, y1 = x & low, x >> half, y & low, y >> half
    middle = x1 * y0 + (x0 * y0 >> half)
    other = (middle & low) + x0 * y1
    return x1 * y1 + (middle >> half) + (other >> half)


def wide_product(a: Any, b: Any, kind: Type) -> Any:
    wide = _wide(kind).dtype
    return np.multiply(a, b, dtype=wide)


def divide(a: Any, b: Any, kind: Type) -> Any:
    """Quotient towards zero; by zero all bits are ones, as GPUs give (the manual leaves it open)."""
    unsigned = UNSIGNED[kind.bits]
    if kind.kind == "u":
        return np.where(b == 0, unsigned(2**kind.bits - 1), a // np.where(b == 0, unsigned(1), b))
    size = _magnitude(a) // np.maximum(_magnitude(b), unsigned(1))
    signed = size.view(kind.dtype)
    found = np.where((a < 0) != (b < 0), np.negative(signed), signed)
    return np.where(b == 0, kind.dtype(-1), found)


def remainder(a: Any, b: Any, kind: Type) -> Any:
    """a - (a / b) * b: has the sign of a. By zero: a."""
    unsigned = UNSIGNED[kind.bits]
    if kind.kind == "u":
        return np.where(b == 0, a, a % np.where(b == 0, unsigned(1), b))
    size = (_magnitude(a) % np.maximum(_magnitude(b), unsigned(1))).view(kind.dtype)
    return np.where(b == 0, a, np.where(a < 0, np.negative(size), size))


def _magnitude(a: Any) -> Any:
    return np.abs(a).view(
        UNSIGNED[8 * a.itemsize]
    )  # the least number keeps its pattern: right as unsigned


def summed(mods: Modifiers) -> Form:
    """add and sub."""
    saturate = mods.flag("sat")
    kind = mods.type(*INTEGERS, *(PACKED if mods.opcode == "add" else ()))
    mods.finish((3,))
    if saturate and kind.name != "s32":
        raise mods.error(".sat is for s32 only")
    if saturate:
        sign = 1 if mods.opcode == "add" else -1
        return Form(lambda a, b: clamp_sum(a, b, sign), kind, (kind, kind))
    return Form(np.add if mods.opcode == "add" else np.subtract, kind, (kind, kind))


def multiplied(mods: Modifiers) -> Form:
    """mul."""
    part = mods.choice(("lo", "hi", "wide"))
    kind = mods.type(*INTEGERS)
    mods.finish((3,))
    if part == "lo":
        return Form(np.multiply, kind, (kind, kind))
    if part == "hi":
        return Form(lambda a, b: high_product(a, b, kind), kind, (kind, kind))
    if kind.bits == 64:
        raise mods.error(".wide of 64 bits does not exist")
    return Form(lambda a, b: wide_product(a, b, kind), _wide(kind), (kind, kind))


def multiplied_and_added(mods: Modifiers) -> Form:
    """mad."""
    part = mods.choice(("lo", "hi", "wide"))
    saturate = mods.flag("sat")
    kind = mods.type(*INTEGERS)
    mods.finish((4,))
    if saturate and (part != "hi" or kind.name != "s32"):
        raise mods.error(".sat is for mad.hi.s32 only")
    if part == "lo":
        return Form(lambda a, b, c: a * b + c, kind, (kind, kind, kind))
    if part == "hi" and saturate:
        return Form(
            lambda a, b, c: clamp_sum(high_product(a, b, kind), c), kind, (kind, kind, kind)
        )
    if part == "hi":
        return Form(lambda a, b, c: high_product(a, b, kind) + c, kind, (kind, kind, kind))
    wide = _wide(kind)
    return Form(lambda a, b, c: wide_product(a, b, kind) + c, wide, (kind, kind, wide))


@form("mul24", "mad24")
def _mul24(mods: Modifiers) -> Form:
    part = mods.choice(("lo", "hi"))
    kind = mods.type("u32", "s32")
    wide, shift = _wide(kind).dtype, np.uint8(8)
    add = mods.opcode == "mad24"
    mods.finish((4,) if add else (3,))

    def compute(a: Any, b: Any, *c: Any) -> Any:
        x, y = (a << shift) >> shift, (b << shift) >> shift  # of 24 bits, with their sign
        found = np.multiply(x, y, dtype=wide) >> wide(16 if part == "hi" else 0)
        return found.astype(kind.dtype) + c[0] if add else found.astype(kind.dtype)

    return Form(compute, kind, (kind,) * (3 if add else 2))


def clamp_sum(a: Any, b: Any, sign: int = 1) -> Any:
    """a + b, or a - b, of s32 within its bounds."""
    wide = a.astype(np.int64) + sign * b.astype(np.int64)
    return np.clip(wide, -(2**31), 2**31 - 1).astype(np.int32)


def divided(mods: Modifiers) -> Form:
    """div."""
    kind = mods.type(*INTEGERS)
    mods.finish((3,))
    return Form(lambda a, b: divide(a, b, kind), kind, (kind, kind))


@form("rem")
def _rem(mods: Modifiers) -> Form:
    kind = mods.type(*INTEGERS)
    mods.finish((3,))
    return Form(lambda a, b: remainder(a, b, kind), kind, (kind, kind))


@form("sad")
def _sad(mods: Modifiers) -> Form:
    kind = mods.type(*INTEGERS)
    mods.finish((4,))
    return Form(lambda a, b, c: c + np.where(a < b, b - a, a - b), kind, (kind, kind, kind))
