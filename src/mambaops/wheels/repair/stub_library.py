"""A shared library with one byte of data, written without a compiler.

`wheels.repair` lays it beside an extension to define `__libc_single_threaded`. It is an ELF file with what
the loader insists on and no more: one read-only segment with the hash, symbol and string tables, and one
writable with the dynamic section and the byte. No code, so it is the same for every 64-bit little-endian machine but
for the number in its header.
"""

from __future__ import annotations

import struct

_MACHINES = {"x86_64": 62, "aarch64": 183}
# aarch64 kernels may use pages of 64 KiB
_PAGE = 0x10000

_PT_LOAD, _PT_DYNAMIC, _PT_GNU_STACK = 1, 2, 0x6474E551
_READ, _WRITE = 4, 2
_DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ, _DT_SYMENT, _DT_SONAME = 4, 5, 6, 10, 11, 14
_GLOBAL_OBJECT = (1 << 4) | 1
_SHT_PROGBITS, _SHT_STRTAB, _SHT_HASH, _SHT_DYNAMIC, _SHT_DYNSYM = 1, 3, 5, 6, 11
_ALLOC, _WRITABLE = 2, 1


def data_library(soname: str, symbol: str, machine: str, value: int = 0) -> bytes:
    """The bytes of a library `soname` that exports a one-byte object `symbol`.

    Args:
        machine: "x86_64" or "aarch64".

    Raises:
        KeyError: another machine.
    """
    strings = b"\0" + soname.encode() + b"\0" + symbol.encode() + b"\0"
    # one bucket that leads to symbol 1; two symbols, each the end of its chain
    hashes = struct.pack("<5I", 1, 2, 1, 0, 0)
    places = _places({"hash": len(hashes), "sym": 2 * 24, "str": len(strings)}, 64 + 4 * 56)
    dynamic = _dynamic(places, 1, len(strings))
    places["dynamic"] = _aligned(places["str"] + len(strings), 16)
    places["data"] = places["dynamic"] + len(dynamic)
    symbols = bytes(24) + struct.pack(
        "<IBBHQQ", 2 + len(soname), _GLOBAL_OBJECT, 0, 5, places["data"] + _PAGE, 1
    )
    pieces = {
        "hash": hashes,
        "sym": symbols,
        "str": strings,
        "dynamic": dynamic,
        "data": bytes([value]),
    }
    body = bytearray(places["data"] + 1)
    for name, piece in pieces.items():
        body[places[name] : places[name] + len(piece)] = piece
    body[64 : 64 + 4 * 56] = _segments(places, len(dynamic))
    sizes = {name: len(piece) for name, piece in pieces.items()}
    return _with_sections(body, machine, places, sizes)


def _dynamic(places: dict[str, int], soname_at: int, strings_size: int) -> bytes:
    entries = (
        (_DT_SONAME, soname_at),
        (_DT_HASH, places["hash"]),
        (_DT_STRTAB, places["str"]),
        (_DT_SYMTAB, places["sym"]),
        (_DT_STRSZ, strings_size),
        (_DT_SYMENT, 24),
        (0, 0),
    )
    return b"".join(struct.pack("<QQ", tag, number) for tag, number in entries)


def _segments(places: dict[str, int], dynamic_size: int) -> bytes:
    start = places["dynamic"]
    # glibc before 2.35 writes into the dynamic section: it must not lie in the read-only segment
    return b"".join(
        (
            _segment(_PT_LOAD, _READ, 0, 0, start, _PAGE),
            _segment(_PT_LOAD, _READ | _WRITE, start, start + _PAGE, dynamic_size + 1, _PAGE),
            _segment(_PT_DYNAMIC, _READ | _WRITE, start, start + _PAGE, dynamic_size, 8),
            _segment(_PT_GNU_STACK, _READ | _WRITE, 0, 0, 0, 16),
        )
    )


def _with_sections(
    body: bytearray, machine: str, places: dict[str, int], sizes: dict[str, int]
) -> bytes:
    """Section headers: the loader needs none, every tool that reads ELF files does."""
    names = b"\0.hash\0.dynsym\0.dynstr\0.dynamic\0.data\0.shstrtab\0"
    table_at = _aligned(len(body) + len(names), 8)

    def row(name: str, kind: int, flags: int, piece: str, **more: int) -> bytes:
        shift = _PAGE if flags & _WRITABLE else 0
        return _section(
            names.index(f".{name}\0".encode()),
            kind,
            flags,
            places[piece],
            sizes[piece],
            address=places[piece] + shift,
            **more,
        )

    rows = [
        bytes(64),
        row("hash", _SHT_HASH, _ALLOC, "hash", link=2, entry=4),
        row("dynsym", _SHT_DYNSYM, _ALLOC, "sym", link=3, info=1, entry=24),
        row("dynstr", _SHT_STRTAB, _ALLOC, "str", align=1),
        row("dynamic", _SHT_DYNAMIC, _ALLOC | _WRITABLE, "dynamic", link=3, entry=16),
        row("data", _SHT_PROGBITS, _ALLOC | _WRITABLE, "data", align=1),
        _section(names.index(b".shstrtab"), _SHT_STRTAB, 0, len(body), len(names), align=1),
    ]
    body[:64] = _header(machine, table_at, len(rows))
    return bytes(body) + names + bytes(table_at - len(body) - len(names)) + b"".join(rows)


def _header(machine: str, table_at: int, rows: int) -> bytes:
    return struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",  # 64 bits, little-endian, version 1
        3,  # ET_DYN
        _MACHINES[machine],
        1,
        0,
        64,
        table_at,
        0,
        64,
        56,
        4,
        64,
        rows,
        rows - 1,
    )


def _places(sizes: dict[str, int], start: int) -> dict[str, int]:
    places = {}
    for name, size in sizes.items():
        places[name] = start = _aligned(start, 8)
        start += size
    return places


def _aligned(number: int, to: int) -> int:
    return (number + to - 1) // to * to


def _segment(kind: int, flags: int, offset: int, address: int, size: int, align: int) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, flags, offset, address, address, size, size, align)


def _section(
    name: int,
    kind: int,
    flags: int,
    offset: int,
    size: int,
    *,
    link: int = 0,
    info: int = 0,
    entry: int = 0,
    align: int = 8,
    address: int = 0,
) -> bytes:
    return struct.pack(
        "<IIQQQQIIQQ", name, kind, flags, address, offset, size, link, info, align, entry
    )
