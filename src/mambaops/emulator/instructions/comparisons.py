"""Comparisons and choices: setp, set, selp, slct."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np

from ..forms import Form, Modifiers, form
from ..spaces import WINDOWS, window_of
from ..text.syntax import Pair
from ..types import PRED, TYPES, Type
from . import floats
from .floating import flush_half

Compute = Callable[..., Any]
_ORDERED: Dict[str, Compute] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
_UNSIGNED = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}
_UNORDERED = tuple(name + "u" for name in ("eq", "ne", "lt", "le", "gt", "ge"))
_OPPOSITE: Dict[str, Compute] = {
    "ltu": np.greater_equal,
    "leu": np.greater,
    "gtu": np.less_equal,
    "geu": np.less,
}
_COMBINED: Dict[str, Compute] = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}
_TYPES = (
    "b16",
    "b32",
    "b64",
    "u16",
    "u32",
    "u64",
    "s16",
    "s32",
    "s64",
    "f16",
    "f32",
    "f64",
    "bf16",
    "f16x2",
    "bf16x2",
)


def comparison(mods: Modifiers, name: str, kind: Type, ftz: bool) -> Compute:
    """The comparison `name` of two arrays: booleans."""
    if not kind.is_float:
        if name in _UNSIGNED and kind.kind == "u":
            name = _UNSIGNED[name]
        if name not in _ORDERED or (kind.kind == "b" and name not in ("eq", "ne")):
            raise mods.error("comparison .{} of {} does not exist".format(name, kind.name))
        return _ORDERED[name]
    if name in _UNSIGNED:
        raise mods.error("comparison .{} of {} does not exist".format(name, kind.name))
    compare = _of_floats(name)
    if kind.kind == "bf":
        return lambda a, b: compare(floats.from_bf16(a), floats.from_bf16(b))
    if not ftz:
        return compare
    flush: Compute = floats.flush if kind.bits == 32 and kind.lanes == 1 else flush_half
    return lambda a, b: compare(flush(a), flush(b))


_NAMED: Dict[str, Compute] = {
    "num": lambda a, b: ~(np.isnan(a) | np.isnan(b)),
    "nan": lambda a, b: np.isnan(a) | np.isnan(b),
    "ne": lambda a, b: (a < b) | (a > b),
    "equ": lambda a, b: ~((a < b) | (a > b)),
    "neu": np.not_equal,
}


def _of_floats(name: str) -> Compute:
    """With not a number, an ordered comparison is false (`ne`, too) and an unordered one true."""
    if name in _NAMED:
        return _NAMED[name]
    if name in _ORDERED:
        return _ORDERED[name]
    opposite: Compute = _OPPOSITE[name]
    return lambda a, b: ~opposite(a, b)


def _start(mods: Modifiers) -> Tuple[str, str, bool]:
    names = (*_ORDERED, *_UNSIGNED, *_UNORDERED, "num", "nan")
    return mods.choice(names), mods.choice(tuple(_COMBINED), ""), mods.flag("ftz")


@form("setp")
def _setp(mods: Modifiers) -> Form:
    name, combined, ftz = _start(mods)
    kind = mods.type(*_TYPES)
    mods.finish((4,) if combined else (3,))
    if kind.lanes == 2:
        raise mods.error("setp of packed types is not supported")
    compare = comparison(mods, name, kind, ftz and kind.is_float)
    join: Optional[Compute] = _COMBINED[combined] if combined else None
    sources = (kind, kind, PRED) if combined else (kind, kind)
    if not isinstance(mods.instruction.operands[0], Pair):
        if join is None:
            return Form(compare, PRED, sources)
        return Form(lambda a, b, c: join(compare(a, b), c), PRED, sources)

    def both(a: Any, b: Any, *c: Any) -> Tuple[Any, Any]:
        found = compare(a, b)
        return (join(found, c[0]), join(~found, c[0])) if join is not None else (found, ~found)

    return Form(both, PRED, sources, PRED)


@form("set")
def _set(mods: Modifiers) -> Form:
    name, combined, ftz = _start(mods)
    to = mods.type("u32", "s32", "f32", "f16", "f16x2", "bf16", "bf16x2", "u16", "s16")
    kind = mods.type(*_TYPES)
    mods.finish((4,) if combined else (3,))
    if (combined and kind.lanes == 2) or to.bits != (32 if kind.lanes == 2 else to.bits):
        raise mods.error("this form of set is not supported")
    compare = comparison(mods, name, kind, ftz and kind.is_float)
    yes = {"f": 1.0, "bf": 0x3F80, "u": 2 ** (to.bits // to.lanes) - 1, "s": -1}[to.kind]
    dtype = np.uint16 if kind.lanes == 2 and to.kind == "u" else to.dtype
    if kind.lanes == 2 and to.kind == "u":
        yes = 0xFFFF

    def compute(a: Any, b: Any, *c: Any) -> Any:
        found = compare(a, b)
        if c:
            found = _COMBINED[combined](found, c[0])
        return np.where(found, dtype(yes), dtype(0))

    return Form(compute, to, (kind, kind, PRED) if combined else (kind, kind))


@form("selp")
def _selp(mods: Modifiers) -> Form:
    kind = mods.type(*_TYPES[:12])
    mods.finish((4,))
    return Form(lambda a, b, p: np.where(p, a, b), kind, (kind, kind, PRED))


@form("slct")
def _slct(mods: Modifiers) -> Form:
    ftz = mods.flag("ftz")
    kind = mods.type(*_TYPES[:12])
    by = mods.type("s32", "f32")
    mods.finish((4,))
    if ftz and by.name != "f32":
        raise mods.error(".ftz is for f32")

    def compute(a: Any, b: Any, c: Any) -> Any:
        return np.where((floats.flush(c) if ftz else c) >= 0, a, b)

    return Form(compute, kind, (kind, kind, by))


@form("isspacep")
def _isspacep(mods: Modifiers) -> Form:
    space = mods.choice(("global", "shared", "local", "const", "param"))
    mods.finish((2,))
    if space not in WINDOWS:
        return Form(lambda a: window_of(a) == "", PRED, (TYPES["u64"],))
    return Form(WINDOWS[space].holds, PRED, (TYPES["u64"],))
