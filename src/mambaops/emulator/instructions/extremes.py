"""Signs, the smaller and the larger of two, and tests of floating-point numbers."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np

from ..forms import INTEGERS, Form, Modifiers, form
from ..types import PRED, Type
from . import floats
from .floating import FLOATS, Compute, canonical_nan, check, finished


@form("neg", "abs")
def _sign(mods: Modifiers) -> Form:
    ftz = mods.flag("ftz")
    kind = mods.type("s16", "s32", "s64", *FLOATS)
    mods.finish((2,))
    if not kind.is_float:
        if ftz:
            raise mods.error(".ftz is not for integers")
        return Form(np.negative if mods.opcode == "neg" else np.abs, kind, (kind,))
    check(mods, kind, "rn", ftz, False)
    if kind.kind == "bf":
        sign = np.uint16(0x8000)
        return Form(lambda a: a ^ sign if mods.opcode == "neg" else a & ~sign, kind, (kind,))
    compute = np.negative if mods.opcode == "neg" else np.abs
    return Form(finished(compute, kind, ftz), kind, (kind,))


@form("min", "max")
def _extreme(mods: Modifiers) -> Form:
    ftz, nan, relu = mods.flag("ftz"), mods.flag("NaN"), mods.flag("relu")
    kind = mods.type(*INTEGERS, "u16x2", "s16x2", *FLOATS)
    mods.finish((3,))
    least = mods.opcode == "min"
    if not kind.is_float:
        if ftz or nan or (relu and kind.name not in ("s32", "s16x2")):
            raise mods.error("a modifier that is not for integers")
        chosen = np.minimum if least else np.maximum
        zero = kind.dtype(0)
        compute: Compute = (lambda a, b: np.maximum(chosen(a, b), zero)) if relu else chosen
        return Form(compute, kind, (kind, kind))
    check(mods, kind, "rn", ftz, False)
    if ((relu or nan) and kind.name in ("f64",)) or relu:
        raise mods.error(".relu and .NaN are not supported for {}".format(kind.name))
    return Form(finished(_chosen(least, nan, kind), kind, ftz), kind, (kind, kind))


def _chosen(least: bool, nan: bool, kind: Type) -> Compute:
    def compute(a: Any, b: Any) -> Any:
        first = np.where(a == b, np.signbit(a) == least, (a < b) if least else (a > b))
        found = np.where(first, a, b)
        lost = np.isnan(a) | np.isnan(b) if nan else np.isnan(a) & np.isnan(b)
        found = np.where(np.isnan(b) & ~np.isnan(a), a, np.where(np.isnan(a), b, found))
        return np.where(lost, canonical_nan(a.dtype), found)

    if kind.kind != "bf":
        return compute
    return lambda a, b: floats.to_bf16(compute(floats.from_bf16(a), floats.from_bf16(b)), "rz")


@form("copysign")
def _copysign(mods: Modifiers) -> Form:
    kind = mods.type("f32", "f64")
    mods.finish((3,))
    return Form(lambda a, b: np.copysign(b, a), kind, (kind, kind))


@form("testp")
def _testp(mods: Modifiers) -> Form:
    what = mods.choice(("finite", "infinite", "number", "notanumber", "normal", "subnormal"))
    kind = mods.type("f32", "f64")
    mods.finish((2,))
    smallest = np.finfo(kind.dtype).tiny
    tests: Dict[str, Compute] = {
        "finite": np.isfinite,
        "infinite": np.isinf,
        "number": lambda a: ~np.isnan(a),
        "notanumber": np.isnan,
        "normal": lambda a: np.isfinite(a) & (np.abs(a) >= smallest),
        "subnormal": lambda a: (np.abs(a) < smallest) & (a != 0),
    }
    return Form(tests[what], PRED, (kind,))
