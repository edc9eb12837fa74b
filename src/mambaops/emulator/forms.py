"""How an instruction is described: its modifiers taken one by one, and what computes it.

A plain instruction (no memory, no other lane, no jump) is a `Form`: types of the operands and a function of arrays.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from .errors import PtxError
from .text.syntax import Instruction
from .types import TYPES, Type

ROUNDINGS = ("rn", "rz", "rm", "rp")


class Form(NamedTuple):
    """`compute(*sources)` gives the result; each source is an array of its type's dtype, one element per lane."""

    compute: Callable[..., Any]
    result: Type
    sources: Tuple[Type, ...]
    # more results, as `setp p|q`: `compute` then returns a tuple
    second: Optional[Type] = None


Maker = Callable[["Modifiers"], Form]
FORMS: Dict[str, Maker] = {}


def form(*opcodes: str) -> Callable[[Maker], Maker]:
    """Registers how instructions of these opcodes are made."""

    def keep(maker: Maker) -> Maker:
        for opcode in opcodes:
            FORMS[opcode] = maker
        return maker

    return keep


# PTX 7.8 names the window within a space; outside of clusters it is the whole space
_SAME = {"shared::cta": "shared", "param::entry": "param"}


class Modifiers:
    """The modifiers of one instruction. What nobody took at the end is an error: nothing is passed over."""

    def __init__(self, instruction: Instruction) -> None:
        self.instruction = instruction
        self.opcode = instruction.opcode
        self._left: List[str] = [_SAME.get(name, name) for name in instruction.modifiers]

    def flag(self, name: str) -> bool:
        """Takes a modifier where it is there."""
        if name not in self._left:
            return False
        self._left.remove(name)
        return True

    def choice(self, names: Tuple[str, ...], default: Optional[str] = None) -> str:
        """Takes the first modifier that is one of these.

        Raises:
            PtxError: where none is, and there is no default.
        """
        for name in self._left:
            if name in names:
                self._left.remove(name)
                return name
        if default is None:
            raise self.error("needs one of {}".format(", ".join("." + name for name in names)))
        return default

    def any_of(self, *names: str) -> None:
        """Takes whichever of these are there: they change nothing here."""
        self._left = [name for name in self._left if name not in names]

    def type(self, *allowed: str) -> Type:
        """Takes the first type.

        Raises:
            PtxError: there is none, or it is not among those allowed.
        """
        name = next((one for one in self._left if one in TYPES), "")
        if not name or (allowed and name not in allowed):
            raise self.error("type {!r} is not supported".format("." + name))
        self._left.remove(name)
        return TYPES[name]

    def finish(self, operands: Tuple[int, ...]) -> None:
        """Raises PtxError for a modifier that is left, and for a number of operands that is none of these."""
        if self._left:
            raise self.error("modifier {!r} is not supported".format("." + self._left[0]))
        if len(self.instruction.operands) not in operands:
            raise self.error("{} operands".format(len(self.instruction.operands)))

    def error(self, message: str) -> PtxError:
        return PtxError("{!r}: {}".format(self.instruction.text, message), self.instruction.line)


INTEGERS = ("u16", "s16", "u32", "s32", "u64", "s64")
BITS = ("b16", "b32", "b64")
