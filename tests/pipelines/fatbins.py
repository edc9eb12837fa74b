"""NVIDIA's container of device code, with empty code of the architectures that are asked for."""

from __future__ import annotations

import struct

PTX_VERSIONS = {"11.6": (7, 6), "11.7": (7, 7), "11.8": (7, 8), "12.1": (8, 1), "12.6": (8, 5)}
PTX_VERSIONS |= {"12.8": (8, 7), "13.0": (9, 0)}


def fatbin(cubins: list[str], ptx: list[str], cuda: str) -> bytes:
    """NVIDIA's container: a header of 16 bytes, and 64 bytes before each code."""
    entries = b""
    for kind, names in ((2, cubins), (1, ptx)):
        major, minor = PTX_VERSIONS.get(cuda, (8, 0)) if kind == 1 else (1, 7)
        for name in names:
            code = b"\x7fELF".ljust(4096, b"\x01") if kind == 2 else b".version".ljust(4096, b" ")
            head = struct.pack("<HHIQ", kind, 0x0101, 64, len(code))
            head += struct.pack("<IIHHI", 0, 0, minor, major, int(name))
            entries += head.ljust(64, b"\0") + code
    return struct.pack("<4sHHQ", b"\x50\xed\x55\xba", 1, 16, len(entries)) + entries
