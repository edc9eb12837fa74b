"""The types of PTX: their names, widths and how numpy holds them."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple

import numpy as np


class Type(NamedTuple):
    """One fundamental type. `dtype` is None where numpy has no such number (bf16): the bits are held instead."""

    name: str
    kind: str  # "u" unsigned, "s" signed, "b" untyped bits, "f" binary floating point, "bf" bfloat16, "p" predicate
    bits: int
    dtype: Any
    lanes: int = 1  # 2 for the packed types, whose `dtype` is that of one half

    @property
    def size(self) -> int:
        """Bytes."""
        return self.bits // 8

    @property
    def is_float(self) -> bool:
        return self.kind in ("f", "bf")

    @property
    def is_integer(self) -> bool:
        return self.kind in ("u", "s")


UNSIGNED: Dict[int, Any] = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}
SIGNED: Dict[int, Any] = {8: np.int8, 16: np.int16, 32: np.int32, 64: np.int64}
FLOATS: Dict[int, Any] = {16: np.float16, 32: np.float32, 64: np.float64}

TYPES: Dict[str, Type] = {"pred": Type("pred", "p", 1, np.bool_)}
for _bits in (8, 16, 32, 64):
    TYPES["u%d" % _bits] = Type("u%d" % _bits, "u", _bits, UNSIGNED[_bits])
    TYPES["s%d" % _bits] = Type("s%d" % _bits, "s", _bits, SIGNED[_bits])
    TYPES["b%d" % _bits] = Type("b%d" % _bits, "b", _bits, UNSIGNED[_bits])
for _bits in (16, 32, 64):
    TYPES["f%d" % _bits] = Type("f%d" % _bits, "f", _bits, FLOATS[_bits])
TYPES["bf16"] = Type("bf16", "bf", 16, np.uint16)
TYPES["f16x2"] = Type("f16x2", "f", 32, np.float16, 2)
TYPES["bf16x2"] = Type("bf16x2", "bf", 32, np.uint16, 2)
TYPES["u16x2"] = Type("u16x2", "u", 32, np.uint16, 2)
TYPES["s16x2"] = Type("s16x2", "s", 32, np.int16, 2)

PRED = TYPES["pred"]
U32 = TYPES["u32"]
U64 = TYPES["u64"]


def bits_type(bits: int) -> Type:
    """The untyped bits of a width; a predicate for 1."""
    return PRED if bits == 1 else TYPES["b%d" % bits]
