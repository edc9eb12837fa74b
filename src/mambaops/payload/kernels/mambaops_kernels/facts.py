"""What a compiled kernel says of itself: the numbers of `mambaops_facts`, from a cubin (ELF) or from PTX. Standard library only.

They are: threads of a block, shared memory in bytes, the rule's extra numbers, the struct's size, then offset and
size of every field. They stand initialised in the machine code, so no GPU is needed to read them.
"""

from __future__ import annotations

import re
import struct
from typing import List, Sequence, Tuple

SYMBOL = "mambaops_facts"


class BadCode(ValueError):
    """Not a kernel of ours, or a damaged one."""


def read(code: bytes, symbol: str = SYMBOL) -> List[int]:
    """The facts of a cubin or of PTX, under their symbol.

    Raises:
        BadCode: no such symbol, or bytes that are no ELF file.
    """
    if code[:4] != b"\x7fELF":
        return _of_ptx(code, symbol.encode())
    try:
        return _of_elf(code, symbol.encode())
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise BadCode(f"the cubin is damaged: {error}") from error


def _of_ptx(text: bytes, symbol: bytes) -> List[int]:
    match = re.search(rb"\.b8 " + symbol + rb"\[(\d+)\] = \{([^}]*)\}", text)
    if match is None:
        raise BadCode(f"no {symbol.decode()} in the PTX")
    # bytes; zeros at the end may be left out
    data = bytes(int(one) for one in match[2].split(b",")).ljust(int(match[1]), b"\0")
    return list(struct.unpack(f"<{len(data) // 4}i", data))


def _of_elf(data: bytes, symbol: bytes) -> List[int]:
    # the header of a 64-bit ELF file (https://refspecs.linuxfoundation.org/elf/elf.pdf)
    (table,) = struct.unpack_from("<Q", data, 0x28)
    size, count, _ = struct.unpack_from("<HHH", data, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, table + i * size) for i in range(count)]
    for kind, offset, length, link in ((s[1], s[4], s[5], s[6]) for s in sections):
        if kind != 2:  # SHT_SYMTAB
            continue
        names = sections[link][4]
        for entry in range(offset, offset + length, 24):
            name, _, _, index, value, bytes_ = struct.unpack_from("<IBBHQQ", data, entry)
            begin = names + name
            if data[begin : data.index(b"\0", begin)] == symbol:
                start = sections[index][4] + value
                return list(struct.unpack_from(f"<{bytes_ // 4}i", data, start))
    raise BadCode(f"no {symbol.decode()} in the cubin")


class Layout:
    """The facts by name, and the packing of the parameter struct.

    Attributes:
        threads: of a block.
        shared: dynamic shared memory in bytes.
        extra: the rule's further numbers, by name.
        size: of the struct in bytes.
        fields: (name, offset, size), by offset.
    """

    def __init__(self, numbers: Sequence[int], extra: Sequence[str], fields: Sequence[str]) -> None:
        """Raises BadCode where the numbers are not as many as the names."""
        first = 3 + len(extra)
        if len(numbers) != first + 2 * len(fields):
            raise BadCode(f"{len(numbers)} facts, {first + 2 * len(fields)} wanted")
        self.threads, self.shared = numbers[0], numbers[1]
        self.extra = dict(zip(extra, numbers[2 : first - 1]))
        self.size = numbers[first - 1]
        places = zip(fields, numbers[first::2], numbers[first + 1 :: 2])
        self.fields: List[Tuple[str, int, int]] = sorted(places, key=lambda one: one[1])

    def format(self) -> str:
        """For `struct`: little endian, one code per field in the order of `fields`, gaps as zero bytes."""
        codes, position = ["<"], 0
        for name, offset, size in self.fields:
            codes.append(f"{offset - position}x" if offset > position else "")
            codes.append(_code(name, size))
            position = offset + size
        return "".join([*codes, f"{self.size - position}x"])


def _code(name: str, size: int) -> str:
    if size == 1:
        return "?"
    if size == 8:
        return "Q"
    return "I" if name.endswith("_stride") else "i"
