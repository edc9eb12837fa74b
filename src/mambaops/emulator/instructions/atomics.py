"""atom and red: one lane after the other where several meet at one place, in the order of their numbers."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import numpy as np

from ..binder import Binder, bound
from ..errors import AccessError
from ..forms import Modifiers
from ..machine import Step
from ..spaces import Piece, writable
from ..text.syntax import Operand, Sink
from ..types import TYPES, UNSIGNED, Type
from . import floats
from .moves import addresses

_ORDER = ("relaxed", "acquire", "release", "acq_rel", "cta", "gpu", "sys", "cluster")
_OPERATIONS = ("add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec")
_ALLOWED = {
    "add": ("u32", "s32", "u64", "s64", "f32", "f64", "f16", "bf16", "f16x2", "bf16x2"),
    "min": ("u32", "s32", "u64", "s64"),
    "max": ("u32", "s32", "u64", "s64"),
    "and": ("b32", "b64"),
    "or": ("b32", "b64"),
    "xor": ("b32", "b64"),
    "exch": ("b32", "b64"),
    "cas": ("b16", "b32", "b64"),
    "inc": ("u32",),
    "dec": ("u32",),
}
Change = Callable[..., Any]


@bound("atom", "red")
def _atom(binder: Binder, mods: Modifiers) -> Step:
    mods.any_of(*_ORDER)
    space = mods.choice(("global", "shared"), "")
    name = mods.choice(_OPERATIONS)
    mods.flag("noftz")
    kind = mods.type(*_ALLOWED[name])
    takes = mods.opcode == "atom"
    mods.finish((2 + takes + (name == "cas"),))
    operands = binder.instruction.operands
    row = (
        None
        if not takes or isinstance(operands[0], Sink)
        else binder.target(operands[0], _plain(kind))
    )
    where = addresses(binder, operands[takes])
    values = [_value(binder, one, kind) for one in operands[takes + 1 :]]
    machine = binder.machine
    change = _changes(kind, space)[name]

    def step() -> None:
        lanes = machine.lanes()
        at = where(lanes)
        given = [
            value if len(value) == 1 else value[... if lanes is None else lanes] for value in values
        ]
        given = [np.broadcast_to(value, (len(at),)) for value in given]
        before = exchange(machine.spaces.pieces(space, at, lanes, kind.size), given, kind, change)
        if row is not None:
            row[... if lanes is None else lanes] = before

    return step


def _plain(kind: Type) -> Type:
    return TYPES["b%d" % kind.bits]


def _value(binder: Binder, operand: Operand, kind: Type) -> Any:
    return binder.source(operand, kind if kind.lanes == 1 else _plain(kind)).view(
        UNSIGNED[kind.bits]
    )


def exchange(pieces: List[Piece], values: List[Any], kind: Type, change: Change) -> Any:
    """Applies a change to the places of all lanes and returns what stood there before, as unsigned bits.

    Raises:
        AccessError: what was never written, or is only to be read.
    """
    before = np.empty(len(values[0]), UNSIGNED[kind.bits])
    for owner, offsets, places in pieces:
        writable(owner, places)
        cells = offsets >> np.int64(kind.size.bit_length() - 1)
        if owner.written is not None:
            marks = owner.marks(kind.size)[cells]
            if (marks != ~marks.dtype.type(0)).any():
                lane = int(np.flatnonzero(marks != ~marks.dtype.type(0))[0])
                raise AccessError(
                    "uninitialised: nobody wrote this place of {}".format(owner), lane
                )
        chosen = np.arange(len(before)) if places is None else places
        before[chosen] = _rounds(
            owner.view(kind.size), cells, [value[chosen] for value in values], change
        )
    return before


def _rounds(view: Any, cells: Any, values: List[Any], change: Change) -> Any:
    """Lanes of one place take turns: each round serves every place once, lowest lane first."""
    before = np.empty(len(cells), view.dtype)
    left = np.arange(len(cells))
    while left.size:
        _, first = np.unique(cells[left], return_index=True)
        turn = left[first]
        before[turn] = view[cells[turn]]
        view[cells[turn]] = change(before[turn], *[value[turn] for value in values])
        left = np.delete(left, first)
    return before


def _changes(kind: Type, space: str) -> Dict[str, Change]:
    """Functions of the bits that stand there and of those that are given."""
    found: Dict[str, Change] = {
        "add": _adder(kind, space),
        "and": np.bitwise_and,
        "or": np.bitwise_or,
        "xor": np.bitwise_xor,
        "exch": lambda _, b: b,
        "cas": lambda old, compare, new: np.where(old == compare, new, old),
        "inc": lambda old, b: np.where(old >= b, np.uint32(0), old + np.uint32(1)),
        "dec": lambda old, b: np.where((old == 0) | (old > b), b, old - np.uint32(1)),
    }
    if kind.kind in ("u", "s"):
        found["min"] = _typed(np.minimum, kind)
        found["max"] = _typed(np.maximum, kind)
    return found


def _typed(compute: Change, kind: Type) -> Change:
    return lambda old, b: compute(old.view(kind.dtype), b.view(kind.dtype)).view(old.dtype)


def _adder(kind: Type, space: str) -> Change:
    if kind.kind == "bf":
        return lambda old, b: _halves(old, b, kind)
    if (
        kind.name == "f32" and space != "shared"
    ):  # global memory's adder flushes, shared memory's does not
        return lambda old, b: floats.flush(
            floats.flush(old.view(np.float32)) + floats.flush(b.view(np.float32))
        ).view(old.dtype)
    return _typed(np.add, kind)


def _halves(old: Any, b: Any, kind: Type) -> Any:
    x, y = (floats.from_bf16(np.ascontiguousarray(one).view(kind.dtype)) for one in (old, b))
    return floats.to_bf16(x + y).view(old.dtype)
