"""Division, roots and elementary functions. The approximate ones are taken as exact, rounded once.

A GPU's own results differ from these by the few last places that the manual allows it.
"""

from __future__ import annotations

from typing import Any, Callable, Dict

import numpy as np

from ..forms import ROUNDINGS, Form, Modifiers, form
from . import floats
from .floating import finished

_APPROXIMATE: Dict[str, Callable[[Any], Any]] = {
    "ex2": np.exp2,
    "lg2": np.log2,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "rcp": np.reciprocal,
    "rsqrt": lambda a: 1.0 / np.sqrt(a),
    "sqrt": np.sqrt,
}
_LARGE = np.float32(2.0**126)


def division(mods: Modifiers) -> Form:
    """div of floating-point numbers."""
    how = mods.choice(("approx", "full", *ROUNDINGS))
    ftz = mods.flag("ftz")
    kind = mods.type("f32", "f64")
    mods.finish((3,))
    if kind.name == "f64":
        if how != "rn" or ftz:
            raise mods.error("only div.rn.f64 is supported")
        return Form(np.divide, kind, (kind, kind))
    if how == "approx":
        return Form(finished(_approximate_quotient, kind, ftz), kind, (kind, kind))
    if how in ("full", "rn"):
        return Form(finished(np.divide, kind, ftz), kind, (kind, kind))
    return Form(
        finished(lambda a, b: floats.narrow(floats.quotient_odd(a, b), how, np.float32), kind, ftz),
        kind,
        (kind, kind),
    )


def _approximate_quotient(a: Any, b: Any) -> Any:
    """a * (1 / b): where b is so large that 1 / b is flushed to 0, the quotient is 0, or not a number for infinity."""
    found = a / b
    size = np.abs(b)
    large = (size > _LARGE) & np.isfinite(b)
    if not large.any():
        return found
    sign = np.copysign(np.float32(1), a) * np.copysign(np.float32(1), b)
    lost = np.where(np.isinf(a) | np.isnan(a), np.float32(np.nan), np.float32(0) * sign)
    return np.where(large, lost, found)


@form("rcp", "sqrt")
def _exact_or_not(mods: Modifiers) -> Form:
    how = mods.choice(("approx", *ROUNDINGS))
    ftz = mods.flag("ftz")
    kind = mods.type("f32", "f64")
    mods.finish((2,))
    if kind.name == "f64":
        if how == "rn" and not ftz:
            return Form(_APPROXIMATE[mods.opcode], kind, (kind,))
        raise mods.error("only {}.rn.f64 is supported".format(mods.opcode))
    if how in ("approx", "rn"):
        return Form(finished(_single(mods.opcode), kind, ftz), kind, (kind,))
    odd = floats.root_odd if mods.opcode == "sqrt" else _reciprocal_odd
    return Form(
        finished(lambda a: floats.narrow(odd(a), how, np.float32), kind, ftz), kind, (kind,)
    )


def _reciprocal_odd(a: Any) -> Any:
    return floats.quotient_odd(np.ones_like(a), a)


@form("ex2", "lg2", "sin", "cos", "rsqrt", "tanh")
def _elementary(mods: Modifiers) -> Form:
    mods.choice(("approx",))
    ftz = mods.flag("ftz")
    halves = ("f16", "f16x2", "bf16", "bf16x2") if mods.opcode in ("ex2", "tanh") else ()
    kind = mods.type("f32", *halves)
    mods.finish((2,))
    if ftz and mods.opcode == "tanh":
        raise mods.error(".ftz is not for tanh")
    if kind.kind == "bf":
        return Form(_through_single(mods.opcode, ftz), kind, (kind,))
    if kind.bits // kind.lanes == 16:
        function = _APPROXIMATE[mods.opcode]
        return Form(lambda a: function(a.astype(np.float64)).astype(np.float16), kind, (kind,))
    return Form(finished(_single(mods.opcode), kind, ftz), kind, (kind,))


def _single(opcode: str) -> Callable[[Any], Any]:
    function = _APPROXIMATE[opcode]
    if opcode in ("sqrt", "rcp"):
        return function  # numpy's are rounded rightly in float32
    return lambda a: function(a.astype(np.float64)).astype(np.float32)


def _through_single(opcode: str, ftz: bool) -> Callable[[Any], Any]:
    """bfloat16; ex2 of it always flushes."""
    function = _APPROXIMATE[opcode]

    def compute(a: Any) -> Any:
        wide = floats.from_bf16(a)
        found = function((floats.flush(wide) if ftz else wide).astype(np.float64))
        return floats.to_bf16(floats.flush(found.astype(np.float32)) if ftz else found)

    return compute


def whole(values: Any, mode: str) -> Any:
    """To a whole number: rni nearest even, rzi to zero, rmi down, rpi up."""
    rounds: Dict[str, Callable[[Any], Any]] = {
        "rni": np.rint,
        "rzi": np.trunc,
        "rmi": np.floor,
        "rpi": np.ceil,
    }
    return rounds[mode](values)
