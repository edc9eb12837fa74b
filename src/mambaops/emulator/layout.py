"""Where the variables and parameters of a kernel lie, and what they start with."""

from __future__ import annotations

from typing import Any, Dict, List, Set, Tuple, Union

import numpy as np

from .errors import PtxError
from .memory import Memory
from .spaces import WINDOWS
from .text.syntax import Address, Kernel, Module, Number, Operand, Symbol, Variable, Vector
from .types import FLOATS, TYPES, UNSIGNED


class Layout:
    """Addresses (`symbols`: space and address by name) and how many bytes each space needs."""

    def __init__(self, module: Module, kernel: Kernel) -> None:
        self.module, self.kernel = module, kernel
        self.used = used_names(kernel)
        self.symbols: Dict[str, Tuple[str, int]] = {}
        self.sizes = {"shared": 0, "local": 0, "param": 0}
        self._lay_out()

    def _lay_out(self) -> None:
        """Gives every variable that the kernel names its address."""
        for one in self.kernel.params:
            self._place(one.name, one)
        for name, one in {**self.module.variables, **self.kernel.variables}.items():
            if name in self.used and not (one.space == "shared" and one.size == 0):
                self._place(name, one)
        dynamic = [
            one for one in self.module.variables.values() if one.space == "shared" and one.size == 0
        ]
        align = max([one.align for one in dynamic], default=1)
        self.sizes["shared"] = -(-self.sizes["shared"] // align) * align
        for one in [*dynamic, Variable("", "shared", TYPES["b8"], 1, 0)]:
            self.symbols[one.name] = ("shared", self.sizes["shared"])

    def _place(self, name: str, one: Variable) -> None:
        if one.space in self.sizes:
            start = -(-self.sizes[one.space] // one.align) * one.align
            self.sizes[one.space] = start + one.size
            self.symbols[name] = (one.space, start)
        elif one.extern:
            raise PtxError("variable {!r} is extern: it is declared in another module".format(name))

    def register(self, memory: Memory) -> List[int]:
        """Puts the variables of global and constant memory there; returns their addresses, to release them."""
        made = []
        for name, one in {**self.module.variables, **self.kernel.variables}.items():
            if name in self.used and one.space in ("global", "const"):
                data = np.zeros(max(one.size, 1), np.uint8)
                address = memory.register(data, name, writable=one.space == "global")
                made.append(address)
                self.symbols[name] = (one.space, address)
                data[: one.size] = self._initial(one)
        return made

    def _initial(self, one: Variable) -> Any:
        dtype = UNSIGNED[one.type.bits]
        values = np.zeros(one.size // one.type.size, dtype)
        for place, value in enumerate(one.init):
            values[place] = self._bits(value, one)
        return values.view(np.uint8)

    def _bits(self, value: Union[Number, Symbol], one: Variable) -> int:
        if isinstance(value, Symbol):
            space, start = self.symbols.get(value.name, ("", -1))
            if start < 0:
                message = "{!r} starts with the address of {!r}, which is not known"
                raise PtxError(message.format(one.name, value.name))
            window = WINDOWS[space].base if value.generic and space in WINDOWS else 0
            return int(start + value.offset + window)
        if one.type.is_float and not value.bits:
            exact = np.array([value.value], FLOATS[one.type.bits])
            return int(exact.view(UNSIGNED[one.type.bits])[0])
        return int(value.value) & ((1 << one.type.bits) - 1)


def used_names(kernel: Kernel) -> Set[str]:
    """The variables that a kernel's instructions name."""
    found: Set[str] = set()

    def look(operand: Operand) -> None:
        if isinstance(operand, Symbol):
            found.add(operand.name)
        elif isinstance(operand, Address) and isinstance(operand.base, Symbol):
            found.add(operand.base.name)
        elif isinstance(operand, Vector):
            for item in operand.items:
                look(item)

    for instruction in kernel.instructions:
        for operand in instruction.operands:
            look(operand)
    return found
