"""Instructions to steps: operands become rows of the machine's registers once, before the first execution."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np

from .errors import PtxError
from .forms import FORMS, Form, Modifiers
from .machine import Machine, Step
from .text.syntax import (
    Instruction,
    Negated,
    Number,
    Operand,
    Pair,
    Register,
    Sink,
    Special,
    Symbol,
)
from .types import FLOATS, PRED, UNSIGNED, Type, bits_type

Bound = Callable[["Binder", Modifiers], Step]
BOUND: Dict[str, Bound] = {}


def bound(*opcodes: str) -> Callable[[Bound], Bound]:
    """Registers what makes a step of instructions that are no plain `Form`."""

    def keep(maker: Bound) -> Bound:
        for opcode in opcodes:
            BOUND[opcode] = maker
        return maker

    return keep


class Binder:
    """Makes the step of one instruction of a machine. `symbols` are the addresses of variables, with their space."""

    def __init__(self, machine: Machine, instruction: Instruction, symbols: Dict[str, Any]) -> None:
        self.machine = machine
        self.instruction = instruction
        self.symbols = symbols

    def bind(self) -> Step:
        """Raises PtxError for an opcode, a modifier or an operand that is not supported."""
        name = self.instruction.opcode + (".cc" if "cc" in self.instruction.modifiers else "")
        if name in BOUND:
            step = BOUND[name](self, Modifiers(self.instruction))
        elif self.instruction.opcode in FORMS:
            step = self.plain(form_of(self.instruction))
        else:
            name = self.instruction.opcode
            raise self.error("instruction {!r} is not supported".format(name))
        if self.instruction.guard is None or self.instruction.opcode in GUARDED:
            return step
        return self.guarded(step)

    def error(self, message: str) -> PtxError:
        return PtxError("{!r}: {}".format(self.instruction.text, message), self.instruction.line)

    # operands

    def source(self, operand: Operand, kind: Type) -> Any:
        """An array of the type's dtype: a register's row, or a constant of one element."""
        if isinstance(operand, Register):
            if operand.bits != kind.bits:
                raise self.error(
                    "{} has {} bits, not {}".format(operand.name, operand.bits, kind.bits)
                )
            row = self.machine.rows[operand.bits][operand.index]
            return row if kind.kind == "p" else row.view(kind.dtype)
        if isinstance(operand, Special):
            return self._special(operand.name, kind)
        if isinstance(operand, Symbol):
            return np.array([self.address(operand)], UNSIGNED[kind.bits]).view(kind.dtype)
        if isinstance(operand, Number):
            return self.constant(operand, kind)
        raise self.error("an operand of this form is not supported here")

    def constant(self, one: Number, kind: Type) -> Any:
        """A constant as an array of one element, or of one for every half of a packed register."""
        if kind.kind == "p":
            return np.array([bool(one.value)])
        pattern = one.value
        if one.bits:
            exact = np.array([pattern], UNSIGNED[one.bits])
            if kind.bits != one.bits:
                exact = exact.view(FLOATS[one.bits]).astype(FLOATS[kind.bits])
            return exact.view(kind.dtype)
        if isinstance(pattern, float) or (kind.kind == "f" and kind.bits >= 32 and kind.lanes == 1):
            if kind.kind != "f" or kind.lanes != 1:
                raise self.error("a floating-point constant for {}".format(kind.name))
            return np.array([pattern], kind.dtype)
        value = np.array([int(pattern) & (2**kind.bits - 1)], UNSIGNED[kind.bits])
        return np.tile(value.view(kind.dtype), self.machine.grid.lanes if kind.lanes == 2 else 1)

    def address(self, symbol: Symbol) -> int:
        """The address of a variable, in its own space."""
        if symbol.name not in self.symbols:
            raise self.error("{!r} is declared nowhere".format(symbol.name))
        return int(self.symbols[symbol.name][1]) + symbol.offset

    def predicate(self, operand: Operand) -> Callable[[], Any]:
        if isinstance(operand, Negated):
            row = self.source(operand.register, PRED)
            return lambda: ~row
        row = self.source(operand, PRED)
        return lambda: row

    def target(self, operand: Operand, kind: Type) -> Any:
        """The row that a result goes to; None where nobody wants it."""
        if isinstance(operand, Sink):
            return None
        if not isinstance(operand, Register):
            raise self.error("the destination is no register")
        return self.source(operand, kind)

    def _special(self, name: str, kind: Type) -> Any:
        grid = self.machine.grid
        word, _, axis = name[1:].partition(".")
        if axis:
            values: Any = {"tid": grid.tid, "ctaid": grid.ctaid}.get(word)
            if values is None:
                values = [
                    np.array([size], np.uint32)
                    for size in (grid.block if word == "ntid" else grid.grid)
                ]
            found = values["xyz".index(axis)]
        else:
            found = self._of_lane(word)
        if kind.bits not in (16, 32, 64) or kind.is_float:
            raise self.error("{} as {}".format(name, kind.name))
        return found.astype(UNSIGNED[kind.bits]).view(kind.dtype)

    def _of_lane(self, word: str) -> Any:
        grid = self.machine.grid
        one, lane = np.uint64(1), grid.laneid.astype(np.uint64)
        shared = self.machine.spaces.arenas["shared"].size
        found: Dict[str, Callable[[], Any]] = {
            "laneid": lambda: grid.laneid,
            "warpid": lambda: grid.warpid,
            "nwarpid": lambda: np.array([-(-grid.threads // 32)]),
            "dynamic_smem_size": lambda: np.array([shared - self.symbols[""][1]]),
            "total_smem_size": lambda: np.array([shared]),
            "lanemask_eq": lambda: one << lane,
            "lanemask_lt": lambda: (one << lane) - one,
            "lanemask_le": lambda: (one << (lane + one)) - one,
            "lanemask_gt": lambda: np.uint64(2**32) - (one << (lane + one)),
            "lanemask_ge": lambda: np.uint64(2**32) - (one << lane),
        }
        return found[word]()

    # results

    def plain(self, form: Form) -> Step:
        """The step of an instruction that computes its result from its sources alone."""
        operands = self.instruction.operands
        first = operands[0]
        second: Optional[Operand] = None
        if isinstance(first, Pair):
            second, first = first.second, first.first
        sources = [self.value(one, kind) for one, kind in zip(operands[1:], form.sources)]
        lazy = any(callable(one) for one in sources)
        compute = _lazily(form.compute, sources) if lazy else form.compute
        values = [] if lazy else sources
        if form.second is not None:
            rows = [self.target(one, PRED) for one in (first, second) if one is not None]
            return self._pair(compute, values, rows)
        if second is not None:
            raise self.error("two results are not supported here")
        return self.assign(self.result(first, form), compute, values)

    def value(self, operand: Operand, kind: Type) -> Any:
        """Like `source`, or a function that gives it: for a negated predicate, and a register that is too wide."""
        if isinstance(operand, Negated):
            return self.predicate(operand)
        if self._is_wide(operand, kind):
            row = self.source(operand, bits_type(width(operand)))
            return lambda: row.astype(UNSIGNED[kind.bits]).view(kind.dtype)
        return self.source(operand, kind)

    def result(self, operand: Operand, form: Form) -> Any:
        """The row of a result, as its type, or, where a wider register is allowed, as wide bits."""
        if self._is_wide(operand, form.result):
            return self.target(operand, bits_type(width(operand))), form.result
        return self.target(operand, form.result)

    def _is_wide(self, operand: Operand, kind: Type) -> bool:
        """cvt may name a register that is wider than the type."""
        wide = width(operand) > kind.bits and kind.kind != "p"
        return wide and self.instruction.opcode == "cvt"

    def assign(self, row: Any, compute: Callable[..., Any], sources: Any) -> Step:
        machine = self.machine
        if isinstance(row, tuple):
            row, narrow = row
            compute = _widened(compute, narrow, row.dtype)
        if row is None:
            return lambda: None
        if isinstance(compute, np.ufunc):
            return _ufunc_step(machine, compute, row, sources)

        def step() -> None:
            found = compute(*sources)
            if machine.mask is None:
                np.copyto(row, found, casting="no")
            else:
                where = (
                    machine.mask if len(row) == len(machine.mask) else np.repeat(machine.mask, 2)
                )
                np.copyto(row, found, casting="no", where=where)

        return step

    def _pair(self, compute: Callable[..., Any], sources: Any, rows: Any) -> Step:
        machine = self.machine

        def step() -> None:
            for row, found in zip(rows, compute(*sources)):
                if row is not None:
                    np.copyto(row, found, where=True if machine.mask is None else machine.mask)

        return step

    def guarded(self, step: Step) -> Step:
        """Only for the lanes whose predicate holds."""
        machine, holds = self.machine, self.guard()

        def chosen() -> Optional[int]:
            before = machine.mask
            where = holds() if before is None else holds() & before
            if not where.any():
                return None
            machine.mask = None if where.all() else where
            step()
            machine.mask = before
            return None

        return chosen

    def guard(self) -> Callable[[], Any]:
        guard = self.instruction.guard
        assert guard is not None
        return self.predicate(Negated(guard.register) if guard.negated else guard.register)


@lru_cache(maxsize=None)
def _made(opcode: str, key: Tuple[Any, ...]) -> Dict[str, Form]:
    """Where the form of all instructions of one kind is kept."""
    return {}


def form_of(instruction: Instruction) -> Form:
    """The form of an instruction; made once for all that differ in registers only."""
    operands = instruction.operands
    table = operands[-1] if instruction.opcode == "lop3" else None
    key = (instruction.modifiers, len(operands), isinstance(operands[0], Pair), table)
    kept = _made(instruction.opcode, key)
    if "form" not in kept:
        kept["form"] = FORMS[instruction.opcode](Modifiers(instruction))
    return kept["form"]


def width(operand: Operand) -> int:
    """Bits of a register; 0 for anything else."""
    return operand.bits if isinstance(operand, Register) else 0


# these look at their guard themselves
GUARDED = ("bra", "ret", "exit", "bar", "barrier")


def _lazily(compute: Callable[..., Any], sources: Any) -> Callable[[], Any]:
    return lambda: compute(*[one() if callable(one) else one for one in sources])


def _widened(compute: Callable[..., Any], narrow: Type, dtype: Any) -> Callable[..., Any]:
    """Signed results are filled with their sign, all others with zeros."""
    held = UNSIGNED[narrow.bits] if narrow.kind != "s" else narrow.dtype
    wide = np.dtype(dtype).newbyteorder("=").str.replace("u", "i") if narrow.kind == "s" else dtype
    return lambda *sources: compute(*sources).view(held).astype(wide).view(dtype)


def _ufunc_step(machine: Machine, compute: Any, row: Any, sources: Any) -> Step:
    def step() -> None:
        if machine.mask is None:
            compute(*sources, out=row)
        else:
            where = machine.mask if len(row) == len(machine.mask) else np.repeat(machine.mask, 2)
            compute(*sources, out=row, where=where)

    return step
