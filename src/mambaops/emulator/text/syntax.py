"""What a PTX text holds, once it is read: plain records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple, Union

from ..types import Type


@dataclass(frozen=True)
class Register:
    """A register of a kernel: its width in bits (1 for a predicate) and its number among those of that width."""

    bits: int
    index: int
    name: str


@dataclass(frozen=True)
class Special:
    """A special register, `%tid.x`."""

    name: str


@dataclass(frozen=True)
class Number:
    """A constant. Written as 0f… or 0d…, `value` is the pattern of a float of that many `bits`."""

    value: Union[int, float]
    bits: Optional[int] = None


@dataclass(frozen=True)
class Symbol:
    """The address of a variable, with a number added."""

    name: str
    offset: int = 0
    generic: bool = False


@dataclass(frozen=True)
class Address:
    """`[base+offset]`."""

    base: Union[Register, Symbol, None]
    offset: int


@dataclass(frozen=True)
class Vector:
    """`{a, b}`."""

    items: Tuple[Single, ...]


@dataclass(frozen=True)
class Pair:
    """`d|p`: a destination and a predicate beside it."""

    first: Single
    second: Single


@dataclass(frozen=True)
class Negated:
    """`!p`."""

    register: Register


@dataclass(frozen=True)
class Target:
    """The instruction that a branch goes to, as its number in the kernel."""

    label: str
    index: int


@dataclass(frozen=True)
class Sink:
    """`_`: a result that nobody wants."""


Single = Union[Register, Special, Number, Symbol, Address, Vector, Negated, Target, Sink]
Operand = Union[Single, Pair]


@dataclass(frozen=True)
class Guard:
    """`@p` or `@!p` before an instruction."""

    register: Register
    negated: bool


@dataclass(frozen=True)
class Instruction:
    """One instruction: `opcode.modifier.modifier operand, operand;`."""

    opcode: str
    modifiers: Tuple[str, ...]
    operands: Tuple[Operand, ...]
    guard: Optional[Guard]
    line: int
    text: str


@dataclass(frozen=True)
class Variable:
    """A variable of a state space; `size` 0 stands for `extern .shared name[]`, the dynamic shared memory."""

    name: str
    space: str
    type: Type
    align: int
    size: int
    init: Tuple[Union[Number, Symbol], ...] = ()
    extern: bool = False


@dataclass
class Kernel:
    """One `.entry`: its parameters in order, variables of its own, registers per width, instructions and labels."""

    name: str
    params: List[Variable] = field(default_factory=list)
    variables: Dict[str, Variable] = field(default_factory=dict)
    registers: Dict[int, int] = field(default_factory=dict)
    instructions: List[Instruction] = field(default_factory=list)
    labels: Dict[str, int] = field(default_factory=dict)
    max_threads: Optional[Tuple[int, int, int]] = None
    required_threads: Optional[Tuple[int, int, int]] = None


@dataclass
class Module:
    """A PTX text: `.version`, `.target`, kernels and variables."""

    version: Tuple[int, int] = (0, 0)
    target: Tuple[str, ...] = ()
    kernels: Dict[str, Kernel] = field(default_factory=dict)
    variables: Dict[str, Variable] = field(default_factory=dict)
