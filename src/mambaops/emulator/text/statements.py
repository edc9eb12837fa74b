"""The body of a kernel: declarations, labels, blocks within blocks, instructions and their operands."""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Tuple

from ..errors import PtxError
from ..types import TYPES
from .declarations import variables
from .reader import Reader
from .scopes import SPECIALS, Scope
from .syntax import (
    Address,
    Guard,
    Instruction,
    Kernel,
    Module,
    Negated,
    Operand,
    Pair,
    Register,
    Single,
    Sink,
    Special,
    Symbol,
    Target,
    Vector,
)

_DECLARED = (".shared", ".local", ".global", ".const")
_BRANCHES = ("bra",)
_OPCODE = re.compile(r"[a-z][a-z0-9]*(?:\.[A-Za-z0-9_]+(?:::[A-Za-z0-9_]+)*)*")


class Body:
    """Reads from the opening brace of a kernel to its closing one."""

    def __init__(self, reader: Reader, kernel: Kernel, module: Module) -> None:
        self.reader = reader
        self.kernel = kernel
        self.module = module
        self.scopes: List[Scope] = []  # of each instruction
        self._opcodes: Dict[str, Tuple[str, Tuple[str, ...]]] = {}

    def parse(self) -> None:
        self._block(None)
        made = self.kernel.instructions
        for place, scope in enumerate(self.scopes):
            if made[place].opcode in _BRANCHES:
                made[place] = self._aimed(made[place], scope)

    def _aimed(self, one: Instruction, scope: Scope) -> Instruction:
        (target,) = one.operands
        if not isinstance(target, Symbol):
            raise PtxError("{!r}: a branch goes to a label".format(one.text), one.line)
        aim = Target(target.name, scope.label(target.name, one.line))
        return Instruction(one.opcode, one.modifiers, (aim,), one.guard, one.line, one.text)

    def _block(self, parent: Optional[Scope]) -> None:
        scope = Scope(self.kernel, parent)
        self.reader.expect("{")
        while not self.reader.accept("}"):
            self._statement(scope)

    def _statement(self, scope: Scope) -> None:
        reader = self.reader
        word = reader.peek()
        if word == "{":
            self._block(scope)
        elif word == ".reg":
            reader.take()
            self._registers(scope)
        elif word in _DECLARED:
            reader.take()
            for one in variables(reader, word):
                scope.add_variable(one)
        elif word == ".pragma":
            reader.until(";")
        elif word == ";":
            reader.take()
        elif reader.peek(1) == ":" and word[0] not in ".@":
            scope.labels[reader.take()] = len(self.kernel.instructions)
            reader.take()
        else:
            self._instruction(scope)

    def _registers(self, scope: Scope) -> None:
        reader = self.reader
        name = reader.take()[1:]
        if name not in TYPES:
            raise reader.error("no registers of type {!r}".format("." + name))
        for _ in iter(int, 1):
            register = reader.take()
            if reader.accept("<"):
                scope.add_range(register, TYPES[name].bits, int(reader.take()))
                reader.expect(">")
            else:
                scope.add_register(register, TYPES[name].bits)
            if not reader.accept(","):
                break
        reader.expect(";")

    def _instruction(self, scope: Scope) -> None:
        reader, first = self.reader, self.reader.place
        guard = self._guard(scope)
        opcode, modifiers = self._opcode(reader.take())
        operands: List[Operand] = []
        while reader.peek() != ";":
            operands.append(self._operand(scope))
            if not reader.accept(","):
                break
        reader.expect(";")
        line, text = reader.span(first)
        made = Instruction(opcode, modifiers, tuple(operands), guard, line, text)
        self.kernel.instructions.append(made)
        self.scopes.append(scope)

    def _opcode(self, word: str) -> Tuple[str, Tuple[str, ...]]:
        found = self._opcodes.get(word)
        if found is None:
            if not _OPCODE.fullmatch(word):
                raise self.reader.error("{!r} is no instruction".format(word))
            opcode, *modifiers = word.split(".")
            found = self._opcodes[word] = (opcode, tuple(modifiers))
        return found

    def _guard(self, scope: Scope) -> Optional[Guard]:
        reader = self.reader
        if not reader.accept("@"):
            return None
        negated = reader.accept("!")
        return Guard(self._predicate(scope), negated)

    def _predicate(self, scope: Scope) -> Register:
        found = scope.register(self.reader.take())
        if found is None or found.bits != 1:
            raise self.reader.error("expected a predicate register")
        return found

    def _operand(self, scope: Scope) -> Operand:
        first = self._single(scope)
        return Pair(first, self._single(scope)) if self.reader.accept("|") else first

    def _single(self, scope: Scope) -> Single:
        reader = self.reader
        word = reader.peek()
        if word == "{":
            reader.place += 1
            return Vector(self._items(scope))
        if word == "[":
            reader.place += 1
            return self._address(scope)
        if word == "!":
            reader.place += 1
            return Negated(self._predicate(scope))
        constant = reader.constant()
        return constant if constant is not None else self._named(scope)

    def _items(self, scope: Scope) -> Tuple[Single, ...]:
        found: List[Single] = []
        while not self.reader.accept("}"):
            found.append(self._single(scope))
            self.reader.accept(",")
        return tuple(found)

    def _address(self, scope: Scope) -> Address:
        reader = self.reader
        constant = reader.constant()
        if constant is not None:
            made = Address(None, int(constant.value))
        else:
            base = self._named(scope)
            if not isinstance(base, (Register, Symbol)):
                raise reader.error("expected a register or a variable in the address")
            made = Address(base, reader.offset())
        if isinstance(made.base, Symbol):
            made = Address(Symbol(made.base.name), made.offset + made.base.offset)
        reader.expect("]")
        return made

    def _named(self, scope: Scope) -> Single:
        name = self.reader.take()
        register = scope.register(name)
        if register is not None:
            return register
        if name == "_":
            return Sink()
        if name in SPECIALS:
            return Special(name)
        if name.startswith("%"):
            raise self.reader.error(
                "no register {!r} is declared, and no such special one is supported".format(name)
            )
        if not (name[0].isalpha() or name[0] in "_$"):
            raise self.reader.error("{!r} is no operand".format(name))
        return Symbol(scope.variable(name), self.reader.offset())
