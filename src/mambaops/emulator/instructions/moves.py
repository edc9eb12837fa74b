"""mov, loads, stores and changes of address space."""

from __future__ import annotations

from typing import Any, Callable, List, Tuple

import numpy as np

from ..binder import Binder, bound
from ..forms import Modifiers
from ..machine import Machine, Step
from ..spaces import WINDOWS, load, store
from ..text.syntax import Address, Operand, Register, Sink, Symbol, Vector
from ..types import UNSIGNED, Type, bits_type

_SPACES = ("global", "shared", "local", "param", "const")
# how caches and other GPUs see it: nothing that one kernel's results depend on
_HINTS = (
    *(
        "nc",
        "ca",
        "cg",
        "cs",
        "cv",
        "wb",
        "wt",
        "lu",
        "volatile",
        "relaxed",
        "weak",
        "acquire",
        "release",
    ),
    *(
        "cta",
        "gpu",
        "sys",
        "L1::evict_normal",
        "L1::evict_unchanged",
        "L1::evict_first",
        "L1::evict_last",
    ),
    *("L1::no_allocate", "L2::64B", "L2::128B", "L2::256B"),
)


@bound("mov")
def _mov(binder: Binder, mods: Modifiers) -> Step:
    kind = mods.type()
    mods.finish((2,))
    to, source = binder.instruction.operands
    if isinstance(to, Vector):
        return _unpack(binder, to, binder.source(source, kind), kind)
    if isinstance(source, Vector):
        return _pack(binder, binder.target(to, kind), source, kind)
    if isinstance(source, Symbol) and kind.bits not in (32, 64):
        raise mods.error("an address as {}".format(kind.name))
    value = binder.source(source, kind)
    return binder.assign(binder.target(to, kind), lambda: value, ())


def _unpack(binder: Binder, to: Vector, value: Any, kind: Type) -> Step:
    part = bits_type(kind.bits // len(to.items))
    rows = [binder.target(item, part) for item in to.items]
    unsigned, machine = UNSIGNED[kind.bits], binder.machine
    whole = value.view(unsigned)

    def step() -> None:
        for place, row in enumerate(rows):
            if row is not None:
                found = (whole >> unsigned(place * part.bits)).astype(part.dtype)
                np.copyto(row, found, where=True if machine.mask is None else machine.mask)

    return step


def _pack(binder: Binder, row: Any, source: Vector, kind: Type) -> Step:
    part = bits_type(kind.bits // len(source.items))
    values = [binder.source(item, part) for item in source.items]
    unsigned = UNSIGNED[kind.bits]

    def compute() -> Any:
        found = values[0].astype(unsigned)
        for place, value in enumerate(values[1:], 1):
            found = found | (value.astype(unsigned) << unsigned(place * part.bits))
        return found.view(kind.dtype)

    return binder.assign(row, compute, ())


@bound("cvta")
def _cvta(binder: Binder, mods: Modifiers) -> Step:
    to = mods.flag("to")
    space = mods.choice(_SPACES)
    kind = mods.type("u64")
    mods.finish((2,))
    base = np.uint64(WINDOWS[space].base if space in WINDOWS else 0)
    value = binder.source(binder.instruction.operands[1], kind)
    row = binder.target(binder.instruction.operands[0], kind)
    return binder.assign(row, (lambda a: a - base) if to else (lambda a: a + base), [value])


def addresses(binder: Binder, operand: Operand) -> Callable[[Any], Any]:
    """A function that gives the addresses (uint64) of lanes: numbers, or None for all."""
    if not isinstance(operand, Address):
        raise binder.error("expected an address in brackets")
    lanes, offset = binder.machine.grid.lanes, np.int64(operand.offset).view(np.uint64)
    if not isinstance(operand.base, Register):
        base = 0 if operand.base is None else binder.address(operand.base)
        fixed = np.full(lanes, base, np.uint64) + offset
        return lambda at: fixed if at is None else fixed[at]
    row = binder.source(operand.base, bits_type(operand.base.bits))
    if operand.base.bits not in (32, 64):
        raise binder.error("an address of {} bits".format(operand.base.bits))

    def computed(at: Any) -> Any:
        chosen = row if at is None else row[at]
        if operand.offset == 0:
            return chosen if chosen.dtype == np.uint64 else chosen.astype(np.uint64)
        return chosen + offset

    return computed


def _kind(mods: Modifiers, operand: Operand) -> Tuple[str, int, Type]:
    mods.any_of(*_HINTS)
    space = mods.choice(_SPACES, "")
    width = int(mods.choice(("v2", "v4"), "v1")[1])
    kind = mods.type()
    mods.finish((2,))
    if kind.kind == "p" or kind.lanes != 1 or (width > 1) != isinstance(operand, Vector):
        raise mods.error("this form is not supported")
    if width * kind.size > 16:
        raise mods.error("more than 16 bytes at once are not supported")
    return space, width, kind


def _items(operand: Operand, width: int, binder: Binder) -> List[Operand]:
    items: List[Operand] = [*operand.items] if isinstance(operand, Vector) else [operand]
    if len(items) != width:
        raise binder.error("{} registers for .v{}".format(len(items), width))
    return items


@bound("ld", "ldu")
def _ld(binder: Binder, mods: Modifiers) -> Step:
    to, source = binder.instruction.operands
    space, width, kind = _kind(mods, to)
    rows = [_wide_target(binder, item, kind) for item in _items(to, width, binder)]
    where, machine, size = addresses(binder, source), binder.machine, kind.size
    spaces = machine.spaces

    def step() -> None:
        lanes = machine.lanes()
        at = where(lanes)
        found = load(spaces.pieces(space, at, lanes, size * width), len(at), size, width)
        for place, row in enumerate(rows):
            if row is not None:
                row[... if lanes is None else lanes] = _extended(found[:, place], kind, row.dtype)

    return step


def _wide_target(binder: Binder, operand: Operand, kind: Type) -> Any:
    """A register as wide as the type, or wider."""
    if isinstance(operand, Sink):
        return None
    if not isinstance(operand, Register) or operand.bits < kind.bits:
        raise binder.error("a register of at least {} bits is wanted".format(kind.bits))
    return binder.target(operand, bits_type(operand.bits))


def _extended(values: Any, kind: Type, dtype: Any) -> Any:
    if values.dtype == dtype or kind.kind != "s":
        return values
    return values.view(kind.dtype).astype(np.dtype(dtype.str.replace("u", "i"))).view(dtype)


@bound("st")
def _st(binder: Binder, mods: Modifiers) -> Step:
    to, source = binder.instruction.operands
    space, width, kind = _kind(mods, source)
    values = [_wide_source(binder, item, kind) for item in _items(source, width, binder)]
    if space in ("param", "const"):
        raise mods.error("{} memory is only to be read".format(space))
    where, machine, size = addresses(binder, to), binder.machine, kind.size

    def step() -> None:
        lanes = machine.lanes()
        at = where(lanes)
        held = np.empty((len(at), width), UNSIGNED[kind.bits])
        for place, value in enumerate(values):
            held[:, place] = value if lanes is None or len(value) == 1 else value[lanes]
        store(machine.spaces.pieces(space, at, lanes, size * width), held, size)

    return step


def _wide_source(binder: Binder, operand: Operand, kind: Type) -> Any:
    if isinstance(operand, Register) and operand.bits > kind.bits:
        return binder.source(operand, bits_type(operand.bits))  # the assignment keeps the low bits
    return binder.source(operand, kind).view(UNSIGNED[kind.bits])


@bound("prefetch", "prefetchu")
def _prefetch(binder: Binder, mods: Modifiers) -> Step:
    mods.any_of("global", "local", "L1", "L2", "L2::evict_last", "L2::evict_normal")
    mods.finish((1,))
    return nothing(binder.machine)


def nothing(_: Machine) -> Step:
    """A step without an effect on results."""
    return lambda: None
