"""Sums, products and their kin, in every floating-point type."""

from __future__ import annotations

from typing import Any, Callable, Dict

import numpy as np

from ..forms import ROUNDINGS, Form, Modifiers
from ..types import Type
from . import floats

Compute = Callable[..., Any]
UFUNC: Dict[str, Any] = {"add": np.add, "sub": np.subtract, "mul": np.multiply}
FLOATS = ("f32", "f64", "f16", "f16x2", "bf16", "bf16x2")
_SMALLEST_HALF = np.float16(2.0**-14)


def arithmetic(mods: Modifiers) -> Form:
    """add, sub and mul of floating-point numbers."""
    rounding = mods.choice(ROUNDINGS, "rn")
    ftz, saturate = mods.flag("ftz"), mods.flag("sat")
    kind = mods.type(*FLOATS)
    mods.finish((3,))
    check(mods, kind, rounding, ftz, saturate)
    if kind.kind == "bf":
        compute = _bf16(mods.opcode)
    elif kind.name == "f32" and rounding != "rn":
        compute = _directed(mods.opcode, rounding)
    else:
        compute = UFUNC[mods.opcode]
    return Form(finished(compute, kind, ftz, saturate), kind, (kind, kind))


def check(mods: Modifiers, kind: Type, rounding: str, ftz: bool, saturate: bool) -> None:
    if rounding != "rn" and kind.name != "f32":
        raise mods.error("rounding .{} of {} is not supported".format(rounding, kind.name))
    if ftz and kind.name in ("f64", "bf16", "bf16x2"):
        raise mods.error(".ftz is not for {}".format(kind.name))
    if saturate and kind.name in ("f64", "bf16", "bf16x2"):
        raise mods.error(".sat is not for {}".format(kind.name))


def _directed(opcode: str, rounding: str) -> Compute:
    def compute(a: Any, b: Any) -> Any:
        if opcode == "mul":
            exact = np.multiply(a, b, dtype=np.float64)
        else:
            y = b.astype(np.float64)
            exact = floats.sum_odd(a.astype(np.float64), -y if opcode == "sub" else y)
            exact = _signed_zero(exact, a, -b if opcode == "sub" else b, rounding)
        return floats.narrow(exact, rounding, np.float32)

    return compute


def _signed_zero(exact: Any, a: Any, b: Any, rounding: str) -> Any:
    """x - x is -0 when rounding down."""
    if rounding != "rm":
        return exact
    cancelled = (exact == 0) & ~((a == 0) & (b == 0) & ~np.signbit(a) & ~np.signbit(b))
    return np.where(cancelled, -0.0, exact)


def _bf16(opcode: str) -> Compute:
    ufunc = UFUNC[opcode]
    return lambda a, b: floats.to_bf16(ufunc(floats.from_bf16(a), floats.from_bf16(b)))


def finished(
    compute: Compute, kind: Type, ftz: bool, saturate: bool = False, relu: bool = False
) -> Compute:
    """With subnormals flushed before and after, and the result clamped, where asked."""
    if not (ftz or saturate or relu):
        return compute
    flush = floats.flush if kind.bits == 32 and kind.lanes == 1 else flush_half

    def wrapped(*sources: Any) -> Any:
        if ftz:
            sources = tuple([flush(source) for source in sources])
        found = compute(*sources)
        if saturate:
            found = clamp(found)
        if relu:
            found = above_zero(found, kind)
        return flush(found) if ftz else found

    return wrapped


def flush_half(values: Any) -> Any:
    """Subnormal float16 to zeros of the same sign."""
    small = np.abs(values) < _SMALLEST_HALF
    return np.where(small, np.copysign(np.float16(0), values), values)


def clamp(values: Any) -> Any:
    """To [0.0, 1.0]; not a number becomes +0.0 (`.sat`)."""
    zero, one = values.dtype.type(0), values.dtype.type(1)
    return np.where(values > zero, np.minimum(values, one), zero)


def above_zero(values: Any, kind: Type) -> Any:
    """Negative results to 0, not a number to the canonical one (`.relu`)."""
    if kind.kind == "bf":
        nan = (values & np.uint16(0x7FFF)) > 0x7F80
        return np.where(
            nan, np.uint16(0x7FFF), np.where(values >> np.uint16(15), np.uint16(0), values)
        )
    found = np.where(values > 0, values, values.dtype.type(0))
    return np.where(np.isnan(values), canonical_nan(values.dtype), found)


def canonical_nan(dtype: Any) -> Any:
    patterns = {2: np.uint16(0x7FFF), 4: np.uint32(0x7FFFFFFF), 8: np.uint64(0x7FFFFFFFFFFFFFFF)}
    return patterns[np.dtype(dtype).itemsize].view(dtype)


def fused(mods: Modifiers) -> Form:
    """a * b + c with one rounding; `mad` of floating-point numbers is the same."""
    rounding = mods.choice(ROUNDINGS, None if mods.opcode == "fma" else "rn")
    ftz, saturate, relu = mods.flag("ftz"), mods.flag("sat"), mods.flag("relu")
    kind = mods.type(*FLOATS)
    mods.finish((4,))
    check(mods, kind, rounding, ftz, saturate)
    if relu and kind.bits // kind.lanes != 16:
        raise mods.error(".relu is not for {}".format(kind.name))
    if relu and saturate:
        raise mods.error(".relu and .sat do not go together")
    compute = _fused_of(kind, rounding)
    return Form(finished(compute, kind, ftz, saturate, relu), kind, (kind, kind, kind))


def _fused_of(kind: Type, rounding: str) -> Compute:
    if kind.name == "f64":
        return floats.wide_fma
    if kind.kind == "bf":
        return lambda a, b, c: floats.to_bf16(
            floats.product_sum_odd(*map(floats.from_bf16, (a, b, c)))
        )
    if kind.name == "f32" and rounding == "rn":
        return _fast_fma
    return lambda a, b, c: floats.narrow(_fma_exact(a, b, c, rounding), rounding, kind.dtype)


def _fma_exact(a: Any, b: Any, c: Any, rounding: str) -> Any:
    product = np.multiply(a, b, dtype=np.float64)
    exact = floats.sum_odd(product, np.asarray(c, np.float64))
    return _signed_zero(exact, product, np.asarray(c, np.float64), rounding)


_HALFWAY = np.int64(0x10000000)
_CUT = np.int64(0x1FFFFFFF)
_NORMAL = 2.0**-126


def _fast_fma(a: Any, b: Any, c: Any) -> Any:
    """The sum in float64 is rounded twice: wrong only where it seems to lie halfway between two float32."""
    total = np.multiply(a, b, dtype=np.float64) + c
    if ((total.view(np.int64) & _CUT) == _HALFWAY).any() or (np.abs(total) < _NORMAL).any():
        return floats.product_sum_odd(a, b, c).astype(np.float32)
    return total.astype(np.float32)
