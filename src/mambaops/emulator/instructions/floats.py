"""Floating-point arithmetic as PTX rounds it, on arrays.

Sums and products are taken in float64 and rounded to odd (a last bit of 1 says "there was more"), from which every
narrower rounding comes out right: float64 has more than two bits more than float32, float16 and bfloat16 need.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

TINY = np.float32(2.0**-126)  # the smallest normal float32
_ONE = np.int64(1)


def flush(values: Any) -> Any:
    """Subnormal float32 to zeros of the same sign (`.ftz`)."""
    small = np.abs(values) < TINY
    if not small.any():
        return values
    return np.where(small, np.copysign(np.float32(0), values), values)


def sum_odd(a: Any, b: Any) -> Any:
    """a + b of float64, rounded to odd."""
    total = a + b
    part = total - a
    rest = (a - (total - part)) + (b - part)  # what the rounding lost, exactly (Knuth's TwoSum)
    return _odd(total, rest)


def _odd(total: Any, rest: Any) -> Any:
    lost = (rest != 0) & np.isfinite(rest) & np.isfinite(total)
    if not lost.any():
        return total
    bits = total.view(np.int64)
    up = (rest > 0) == (total > 0)  # away from zero: the pattern grows
    # an odd pattern stays; an even one moves to the odd one on the side of what was lost
    moved = np.where((bits & _ONE) == 0, np.where(up, bits + _ONE, bits - _ONE), bits)
    return np.where(lost, moved, bits).view(np.float64)


def product_sum_odd(a: Any, b: Any, c: Any) -> Any:
    """a * b + c of float32 (or narrower) as float64, rounded to odd: the product of two float32 is exact there."""
    wide = np.multiply(a, b, dtype=np.float64)
    return sum_odd(wide, np.asarray(c, dtype=np.float64))


def quotient_odd(a: Any, b: Any) -> Any:
    """a / b of float32 as float64, rounded to odd."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    ratio = x / y
    # ratio has 53 bits, b 24: the rest is exact once the ratio is split in two halves
    high = (ratio.view(np.int64) & np.int64(-(1 << 29))).view(np.float64)
    rest = (x - high * y) - (ratio - high) * y
    return _odd(ratio, np.where(y < 0, -rest, rest))


def root_odd(a: Any) -> Any:
    """The square root of float32 as float64, rounded to odd."""
    x = np.asarray(a, dtype=np.float64)
    root = np.sqrt(x)
    high = (root.view(np.int64) & np.int64(-(1 << 29))).view(np.float64)
    low = root - high
    return _odd(root, ((x - high * high) - 2 * high * low) - low * low)


def narrow(values: Any, mode: str, dtype: Any) -> Any:
    """float64 (exact or rounded to odd) to a narrower type.

    Args:
        mode: "rn" to nearest even, "rz" to zero, "rm" down, "rp" up.
    """
    near = values.astype(dtype)
    if mode == "rn":
        return near
    wide = near.astype(np.float64)
    if mode == "rz":
        wrong, aim = np.abs(wide) > np.abs(values), dtype(0)
    elif mode == "rm":
        wrong, aim = wide > values, dtype(-np.inf)
    else:
        wrong, aim = wide < values, dtype(np.inf)
    return np.where(wrong, np.nextafter(near, aim), near) if wrong.any() else near


def wide_fma(a: Any, b: Any, c: Any) -> Any:
    """a * b + c of float64 with one rounding. Slow: lane by lane in fractions."""
    x, y, z = np.broadcast_arrays(a, b, c)
    found = x * y + z
    for lane in np.flatnonzero(np.isfinite(x) & np.isfinite(y) & np.isfinite(z)):
        exact = Fraction(float(x[lane])) * Fraction(float(y[lane])) + Fraction(float(z[lane]))
        if exact:
            found[lane] = _nearest(exact)
    return found


def _nearest(exact: Fraction) -> float:
    try:
        return float(exact)
    except OverflowError:
        return float("inf") if exact > 0 else float("-inf")


# bfloat16: the upper half of a float32; numpy has no type for it, so the 16 bits stand in a uint16


def from_bf16(bits: Any) -> Any:
    """bfloat16 to float32, exactly."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def to_bf16(values: Any, mode: str = "rn") -> Any:
    """float32, or float64 rounded to odd, to bfloat16; not a number becomes 0x7fff."""
    single = values if values.dtype == np.float32 else _odd32(values)
    bits = single.view(np.uint32)
    low = bits & np.uint32(0xFFFF)
    kept = bits >> np.uint32(16)
    if mode == "rn":
        more = (low > 0x8000) | ((low == 0x8000) & ((kept & np.uint32(1)) == 1))
    elif mode == "rz":
        more = np.zeros(low.shape, np.bool_)
    else:
        more = (low > 0) & (np.signbit(single) == (mode == "rm"))
    more &= np.isfinite(single)
    found = (kept + more.astype(np.uint32)).astype(np.uint16)
    return np.where(np.isnan(single), np.uint16(0x7FFF), found)


def _odd32(values: Any) -> Any:
    """float64 to float32, rounded to odd."""
    cut = narrow(values, "rz", np.float32)
    inexact = (cut.astype(np.float64) != values) & ~np.isnan(values)
    return (cut.view(np.uint32) | inexact.astype(np.uint32)).view(np.float32)
