"""cvt: between all the types, with every rounding and saturation that is defined for them."""

from __future__ import annotations

from typing import Any, Callable, List

import numpy as np

from ..forms import ROUNDINGS, Form, Modifiers, form
from ..types import TYPES, Type
from . import floats
from .floating import above_zero, canonical_nan, clamp
from .functions import whole

_WHOLE = ("rni", "rzi", "rmi", "rpi")
Compute = Callable[..., Any]


@form("cvt")
def _cvt(mods: Modifiers) -> Form:
    rounding = mods.choice(ROUNDINGS + _WHOLE, "")
    ftz, saturate, relu = mods.flag("ftz"), mods.flag("sat"), mods.flag("relu")
    finite = mods.flag("satfinite")
    to, source = mods.type(), mods.type()
    packed = to.lanes == 2
    if packed:
        mods.finish((3,))
        if (
            source.name != "f32"
            or rounding not in ("rn", "rz")
            or saturate
            or to.kind not in ("f", "bf")
        ):
            raise mods.error("this packed conversion is not supported")
    else:
        mods.finish((2,))
        _check(mods, rounding, ftz, to, source)
    if relu and not (source.name == "f32" and to.bits // to.lanes == 16 and to.is_float):
        raise mods.error(".relu is for conversions of f32 to half precision")
    if finite and not (packed or to.name in ("f16", "bf16")):
        raise mods.error(".satfinite is not supported here")
    return _made(to, source, rounding, ftz, saturate, relu, finite)


def _made(
    to: Type, source: Type, rounding: str, ftz: bool, saturate: bool, relu: bool, finite: bool
) -> Form:
    one = _half(to) if to.lanes == 2 else to
    steps: List[Compute] = []
    if ftz and source.name == "f32":
        steps.append(floats.flush)
    chops = to.is_integer and source.is_integer and saturate
    steps.append(saturated(to, source) if chops else converter(one, source, rounding))
    if ftz and to.name == "f32":
        steps.append(floats.flush)
    if saturate and to.is_float:
        steps.append(_clamp_bf16 if to.kind == "bf" else clamp)
    if finite:
        steps.append(lambda found: _finite(found, one))
    if relu:
        steps.append(lambda found: above_zero(found, one))

    def compute(value: Any) -> Any:
        for step in steps:
            value = step(value)
        return value

    if to.lanes == 1:
        return Form(compute, to, (source,))

    def both(a: Any, b: Any) -> Any:  # a comes into the upper half
        high, low = np.broadcast_arrays(compute(a), compute(b))
        return np.stack([low, high], axis=-1).reshape(-1)

    return Form(both, to, (source, source))


def _half(to: Type) -> Type:
    return TYPES[to.name[:-2]]


def _check(mods: Modifiers, rounding: str, ftz: bool, to: Type, source: Type) -> None:
    """Which rounding a conversion needs: the manual's table."""
    if to.lanes != 1 or source.lanes != 1 or "p" in (to.kind, source.kind):
        raise mods.error("this conversion is not supported")
    if ftz and "f32" not in (to.name, source.name):
        raise mods.error(".ftz is for f32 only")
    needs_whole = source.is_float and (
        to.is_integer or (to.name == source.name and rounding in _WHOLE)
    )
    loses = to.is_float and (not source.is_float or not _holds(to, source))
    if needs_whole and rounding not in _WHOLE:
        raise mods.error("needs .rni, .rzi, .rmi or .rpi")
    if not needs_whole and rounding in _WHOLE:
        raise mods.error("rounding .{} is not for this conversion".format(rounding))
    if loses and rounding not in ROUNDINGS:
        raise mods.error("needs .rn, .rz, .rm or .rp")
    if not loses and rounding in ROUNDINGS:
        raise mods.error("rounding .{} is not for this conversion".format(rounding))


def _holds(to: Type, source: Type) -> bool:
    """Whether a floating-point type holds every number of another."""
    if to.bits == source.bits:
        return to.name == source.name
    return to.bits > source.bits


def converter(to: Type, source: Type, rounding: str) -> Compute:
    """A function of arrays from one type to another."""
    if to.is_float and source.is_float:
        return _float_to_float(to, source, rounding)
    if to.is_float:
        return lambda a: _from_integer(a, to, source, rounding)
    if source.is_float:
        return lambda a: _to_integer(_plain(a, source), to, source, rounding)
    return lambda a: a.astype(to.dtype)


def saturated(to: Type, source: Type) -> Compute:
    """Integers clamped to what the other type holds."""
    low = 0 if to.kind == "u" else -(2 ** (to.bits - 1))
    high = 2**to.bits - 1 if to.kind == "u" else 2 ** (to.bits - 1) - 1
    least = 0 if source.kind == "u" else -(2 ** (source.bits - 1))
    most = 2**source.bits - 1 if source.kind == "u" else 2 ** (source.bits - 1) - 1
    low, high = max(low, least), min(high, most)
    return lambda a: np.clip(a, source.dtype(low), source.dtype(high)).astype(to.dtype)


def _plain(values: Any, kind: Type) -> Any:
    return floats.from_bf16(values) if kind.kind == "bf" else values


def _float_to_float(to: Type, source: Type, rounding: str) -> Compute:
    if to.name == source.name:
        if not rounding:
            return lambda a: a
        if to.kind == "bf":
            return lambda a: floats.to_bf16(whole(floats.from_bf16(a), rounding))
        return lambda a: whole(a, rounding)
    mode = rounding or "rn"
    if to.kind == "bf":
        return lambda a: floats.to_bf16(_single_or_double(_plain(a, source)), mode)
    return lambda a: _quieted(
        floats.narrow(_plain(a, source).astype(np.float64), mode, to.dtype), a, source
    )


def _single_or_double(values: Any) -> Any:
    return values.astype(np.float32) if values.dtype == np.float16 else values


def _quieted(found: Any, a: Any, source: Type) -> Any:
    """Not a number comes out as the canonical one."""
    lost = np.isnan(found)
    return np.where(lost, canonical_nan(found.dtype), found) if lost.any() else found


def _from_integer(a: Any, to: Type, source: Type, rounding: str) -> Any:
    exact = a.astype(np.float64)
    if (
        source.bits == 64
    ):  # float64 may not hold it: rounded to odd, or as asked where the result is float64
        exact = _odd_of_integer(a, exact) if to.bits < 64 else _directed64(a, exact, rounding)
    if to.kind == "bf":
        return floats.to_bf16(exact, rounding)
    return exact if to.bits == 64 else floats.narrow(exact, rounding, to.dtype)


def _rests(a: Any, exact: Any) -> Any:
    """By how much the float64 is too small: at most 1024, found in wrapping arithmetic."""
    back = np.where(exact >= 2.0**63, exact - 2.0**64, exact)
    back = np.where(back >= 2.0**63, -(2.0**63), back)
    return a.view(np.int64) - back.astype(np.int64)


def _odd_of_integer(a: Any, exact: Any) -> Any:
    rest = _rests(a, exact)
    bits = exact.view(np.int64)
    up = (rest > 0) == (exact > 0)
    step = np.where((bits & np.int64(1)) == 0, np.where(up, np.int64(1), np.int64(-1)), np.int64(0))
    return np.where(rest != 0, bits + step, bits).view(np.float64)


def _directed64(a: Any, exact: Any, rounding: str) -> Any:
    rest = _rests(a, exact)
    if rounding == "rn":
        return exact
    down = np.where(rest < 0, np.nextafter(exact, -np.inf), exact)
    up = np.where(rest > 0, np.nextafter(exact, np.inf), exact)
    if rounding == "rz":
        return np.where(exact > 0, down, up)
    return down if rounding == "rm" else up


def _to_integer(values: Any, to: Type, source: Type, rounding: str) -> Any:
    """Clamped to the type's range; not a number becomes 0, or the sign bit alone where 64 bits take part."""
    rounded = whole(values.astype(np.float64), rounding)
    low = 0 if to.kind == "u" else -(2 ** (to.bits - 1))
    high = 2**to.bits - 1 if to.kind == "u" else 2 ** (to.bits - 1) - 1
    nan = np.isnan(rounded)
    inside = ~nan & (rounded > float(low)) & (rounded < float(high))
    found = np.where(inside, rounded, 0.0).astype(to.dtype)
    found = np.where(rounded <= float(low), to.dtype(low), found)
    found = np.where(rounded >= float(high), to.dtype(high), found)
    wide = source.bits == 64 or to.bits == 64
    odd = np.uint64(1 << (to.bits - 1)).astype(to.dtype) if wide else to.dtype(0)
    return np.where(nan, odd, found)


def _clamp_bf16(bits: Any) -> Any:
    return floats.to_bf16(clamp(floats.from_bf16(bits)))


def _finite(found: Any, to: Type) -> Any:
    """Infinity becomes the largest number of the type, not a number the canonical one."""
    if to.kind == "bf":
        size = found & np.uint16(0x7FFF)
        return np.where(size == 0x7F80, (found & np.uint16(0x8000)) | np.uint16(0x7F7F), found)
    most = np.finfo(to.dtype).max
    return np.where(np.isinf(found), np.copysign(most, found), found)
