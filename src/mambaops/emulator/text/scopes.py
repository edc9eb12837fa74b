"""What a name means at a place of a kernel: registers, variables and labels of the blocks around it."""

from __future__ import annotations

from typing import Dict, Optional, Tuple

from ..errors import PtxError
from .syntax import Kernel, Register, Variable

SPECIALS = frozenset(
    ["%{}.{}".format(name, axis) for name in ("tid", "ntid", "ctaid", "nctaid") for axis in "xyz"]
    + ["%laneid", "%warpid", "%nwarpid", "%dynamic_smem_size", "%total_smem_size"]
    + ["%lanemask_" + name for name in ("eq", "lt", "le", "gt", "ge")]
)


class Scope:
    """The names of one `{ }` block; what it does not know it asks the block around it."""

    def __init__(self, kernel: Kernel, parent: Optional[Scope]) -> None:
        self.kernel = kernel
        self.parent = parent
        self.registers: Dict[str, Register] = {}
        self.ranges: Dict[str, Tuple[int, int, int]] = {}  # prefix: width, first number, count
        self.labels: Dict[str, int] = {}
        self.variables: Dict[str, str] = {}  # as written: its name in the kernel

    def add_register(self, name: str, bits: int) -> None:
        self.registers[name] = Register(bits, self._take(bits, 1), name)

    def add_range(self, prefix: str, bits: int, count: int) -> None:
        """`.reg .b32 %r<8>`: %r0 to %r7."""
        self.ranges[prefix] = (bits, self._take(bits, count), count)

    def _take(self, bits: int, count: int) -> int:
        first = self.kernel.registers.get(bits, 0)
        self.kernel.registers[bits] = first + count
        return first

    def register(self, name: str) -> Optional[Register]:
        found = self.registers.get(name)
        if found is None and name[-1:].isdigit():
            found = self._of_range(name)
        if found is None and self.parent is not None:
            return self.parent.register(name)
        return found

    def _of_range(self, name: str) -> Optional[Register]:
        prefix = name.rstrip("0123456789")
        bits, first, count = self.ranges.get(prefix, (0, 0, 0))
        if prefix == name or int(name[len(prefix) :]) >= count:
            return None
        self.registers[name] = Register(bits, first + int(name[len(prefix) :]), name)
        return self.registers[name]

    def add_variable(self, variable: Variable) -> Variable:
        """Two blocks may each have a variable of one name: the kernel then knows the second by another."""
        name = variable.name
        while name in self.kernel.variables:
            name += "'"
        self.variables[variable.name] = name
        self.kernel.variables[name] = variable
        return variable

    def variable(self, name: str) -> str:
        """The kernel's name of a variable; the name itself where it is the module's."""
        if name in self.variables:
            return self.variables[name]
        return self.parent.variable(name) if self.parent is not None else name

    def label(self, name: str, line: int) -> int:
        """The instruction that a label stands before."""
        if name in self.labels:
            return self.labels[name]
        if self.parent is None:
            raise PtxError("no label {!r} in this kernel".format(name), line)
        return self.parent.label(name, line)
