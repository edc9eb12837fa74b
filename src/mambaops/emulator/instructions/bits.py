"""Logic, shifts and bit fields."""

from __future__ import annotations

from typing import Any, Callable, Dict

import numpy as np

from ..forms import BITS, Form, Modifiers, form
from ..text.syntax import Number
from ..types import U32, UNSIGNED, Type

_LOGIC: Dict[str, Callable[..., Any]] = {
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}
_ANY = ("u16", "s16", "u32", "s32", "u64", "s64", "b16", "b32", "b64")


@form("and", "or", "xor")
def _logic(mods: Modifiers) -> Form:
    kind = mods.type("pred", *BITS)
    mods.finish((3,))
    return Form(_LOGIC[mods.opcode], kind, (kind, kind))


@form("not")
def _not(mods: Modifiers) -> Form:
    kind = mods.type("pred", *BITS)
    mods.finish((2,))
    return Form(np.invert, kind, (kind,))


@form("cnot")
def _cnot(mods: Modifiers) -> Form:
    kind = mods.type(*BITS)
    mods.finish((2,))
    return Form(lambda a: (a == 0).astype(kind.dtype), kind, (kind,))


@form("shl")
def _shl(mods: Modifiers) -> Form:
    kind = mods.type(*BITS)
    mods.finish((3,))
    most, dtype = np.uint32(kind.bits), kind.dtype

    def compute(a: Any, b: Any) -> Any:
        found = np.left_shift(a, np.minimum(b, np.uint32(kind.bits - 1)).astype(dtype))
        return np.where(b >= most, dtype(0), found)

    return Form(compute, kind, (kind, U32))


@form("shr")
def _shr(mods: Modifiers) -> Form:
    kind = mods.type(*_ANY)
    mods.finish((3,))
    most, dtype = np.uint32(kind.bits), kind.dtype

    def compute(a: Any, b: Any) -> Any:
        found = np.right_shift(a, np.minimum(b, np.uint32(kind.bits - 1)).astype(dtype))
        return found if kind.kind == "s" else np.where(b >= most, dtype(0), found)

    return Form(compute, kind, (kind, U32))


@form("shf")
def _shf(mods: Modifiers) -> Form:
    way, mode = mods.choice(("l", "r")), mods.choice(("clamp", "wrap"))
    kind = mods.type("b32")
    mods.finish((4,))

    def compute(a: Any, b: Any, c: Any) -> Any:
        n = (np.minimum(c, np.uint32(32)) if mode == "clamp" else c & np.uint32(31)).astype(
            np.uint64
        )
        both = b.astype(np.uint64) << np.uint64(32) | a
        moved = (both << n) >> np.uint64(32) if way == "l" else both >> n
        return (moved & np.uint64(0xFFFFFFFF)).astype(np.uint32)

    return Form(compute, kind, (kind, kind, U32))


@form("bfe")
def _bfe(mods: Modifiers) -> Form:
    kind = mods.type("u32", "s32", "u64", "s64")
    mods.finish((4,))
    return Form(lambda a, b, c: _extract(a, b, c, kind), kind, (kind, U32, U32))


def _extract(a: Any, b: Any, c: Any, kind: Type) -> Any:
    unsigned, last = UNSIGNED[kind.bits], kind.bits - 1
    start, length = (b & np.uint32(255)).astype(np.int64), (c & np.uint32(255)).astype(np.int64)
    found = np.where(
        start > last, unsigned(0), a.view(unsigned) >> np.minimum(start, last).astype(unsigned)
    )
    kept = np.where(
        length > last, unsigned(2**kind.bits - 1), _ones(np.minimum(length, last), unsigned)
    )
    if kind.kind == "u":
        return found & kept
    sign_at = np.minimum(start + length - 1, last)
    sign = np.where(
        length == 0, unsigned(0), a.view(unsigned) >> np.maximum(sign_at, 0).astype(unsigned)
    )
    held = np.maximum(
        np.int64(kind.bits) - start, 0
    )  # bits above those that a has are copies of the sign
    kept = kept & np.where(
        held > last, unsigned(2**kind.bits - 1), _ones(np.minimum(held, last), unsigned)
    )
    return np.where(sign & unsigned(1), found & kept | ~kept, found & kept).view(kind.dtype)


def _ones(count: Any, unsigned: Any) -> Any:
    return (unsigned(1) << count.astype(unsigned)) - unsigned(1)


@form("bfi")
def _bfi(mods: Modifiers) -> Form:
    kind = mods.type("b32", "b64")
    mods.finish((5,))
    unsigned, last = kind.dtype, kind.bits - 1

    def compute(a: Any, b: Any, c: Any, d: Any) -> Any:
        start, length = (c & np.uint32(255)).astype(np.int64), (d & np.uint32(255)).astype(np.int64)
        field = np.where(
            length > last, unsigned(2**kind.bits - 1), _ones(np.minimum(length, last), unsigned)
        )
        at = np.minimum(start, last).astype(unsigned)
        mask = np.where(start > last, unsigned(0), field << at)
        return b & ~mask | (a << at) & mask

    return Form(compute, kind, (kind, kind, U32, U32))


@form("bmsk")
def _bmsk(mods: Modifiers) -> Form:
    mode = mods.choice(("clamp", "wrap"))
    kind = mods.type("b32")
    mods.finish((3,))

    def compute(a: Any, b: Any) -> Any:
        x, y = a.astype(np.uint64), b.astype(np.uint64)
        if mode == "wrap":
            x, y = x & np.uint64(31), y & np.uint64(31)
        ones = (np.uint64(1) << np.minimum(y, np.uint64(32))) - np.uint64(1)
        return ((ones << np.minimum(x, np.uint64(32))) & np.uint64(0xFFFFFFFF)).astype(np.uint32)

    return Form(compute, kind, (U32, U32))


@form("lop3")
def _lop3(mods: Modifiers) -> Form:
    kind = mods.type("b32")
    mods.finish((5,))
    table = mods.instruction.operands[4]
    if not isinstance(table, Number):
        raise mods.error("the table is a constant")
    rows = [row for row in range(8) if int(table.value) >> row & 1]

    def compute(a: Any, b: Any, c: Any, _: Any) -> Any:
        found = np.zeros(np.broadcast(a, b, c).shape, np.uint32)
        for row in rows:
            found |= (a if row & 4 else ~a) & (b if row & 2 else ~b) & (c if row & 1 else ~c)
        return found

    return Form(compute, kind, (kind, kind, kind, U32))


@form("popc", "clz")
def _count(mods: Modifiers) -> Form:
    kind = mods.type("b32", "b64")
    mods.finish((2,))
    compute = _popc if mods.opcode == "popc" else lambda a: np.uint32(kind.bits) - _length(a)
    return Form(compute, U32, (kind,))


def _popc(a: Any) -> Any:
    octets = np.ascontiguousarray(a).view(np.uint8).reshape(-1, a.itemsize)
    return np.unpackbits(octets, axis=1).sum(axis=1).astype(np.uint32)


def _length(a: Any) -> Any:
    """How many bits a number has without its leading zeros."""
    octets = (
        np.ascontiguousarray(a).view(np.uint8).reshape(-1, a.itemsize)[:, ::-1]
    )  # little-endian
    bits = np.unpackbits(octets, axis=1)
    return np.where(a == 0, 0, 8 * a.itemsize - bits.argmax(axis=1)).astype(np.uint32)


@form("bfind")
def _bfind(mods: Modifiers) -> Form:
    shift = mods.flag("shiftamt")
    kind = mods.type("u32", "s32", "u64", "s64")
    mods.finish((2,))

    def compute(a: Any) -> Any:
        a = np.where(a < 0, ~a, a) if kind.kind == "s" else a
        place = _length(a.view(UNSIGNED[kind.bits])) - np.uint32(
            1
        )  # all ones where there is no bit
        return np.where(a == 0, place, np.uint32(kind.bits - 1) - place) if shift else place

    return Form(compute, U32, (kind,))


@form("brev")
def _brev(mods: Modifiers) -> Form:
    kind = mods.type("b32", "b64")
    mods.finish((2,))

    def compute(a: Any) -> Any:
        octets = np.ascontiguousarray(a).view(np.uint8).reshape(-1, kind.size)
        back = np.packbits(np.unpackbits(octets, axis=1, bitorder="little"), axis=1)[:, ::-1]
        return np.ascontiguousarray(back).view(kind.dtype).reshape(-1)

    return Form(compute, kind, (kind,))


_MODES = ("f4e", "b4e", "rc8", "ecl", "ecr", "rc16")


@form("prmt")
def _prmt(mods: Modifiers) -> Form:
    kind = mods.type("b32")
    mode = mods.choice(_MODES, "")
    mods.finish((4,))

    def compute(a: Any, b: Any, c: Any) -> Any:
        both = b.astype(np.uint64) << np.uint64(32) | a
        found = np.zeros(np.broadcast(a, b, c).shape, np.uint32)
        for place in range(4):
            pick = (
                c >> np.uint32(4 * place) & np.uint32(15)
                if not mode
                else _pick(mode, place, c & np.uint32(3))
            )
            octet = (both >> ((pick & np.uint32(7)) << np.uint32(3)).astype(np.uint64)).astype(
                np.uint8
            )
            sign = (octet.view(np.int8) >> np.int8(7)).view(np.uint8)
            octet = np.where(pick & np.uint32(8), sign, octet)
            found |= octet.astype(np.uint32) << np.uint32(8 * place)
        return found

    return Form(compute, kind, (kind, kind, U32))


def _pick(mode: str, place: int, c: Any) -> Any:
    """Which byte of the eight comes to a place (0 is the lowest), in the modes with a name."""
    at = np.uint32(place)
    if mode == "f4e":
        return c + at
    if mode == "b4e":
        return (c - at) & np.uint32(7)
    if mode == "rc8":
        return c
    if mode == "rc16":
        return (c & np.uint32(1)) * np.uint32(2) + np.uint32(place & 1)
    return np.maximum(c, at) if mode == "ecl" else np.minimum(c, at)
