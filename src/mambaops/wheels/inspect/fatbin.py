"""Which GPUs a binary holds code for: a reader of the `.nv_fatbin` section, without CUDA tools.

The section holds one *fatbin* per compiled file: a header of 16 bytes (`50 ED 55 BA`, u16 version, u16
header size, u64 size) and then entries: u16 kind (1 PTX, 2 machine code), u16 attributes, u32 header
size, u64 padded size, u32 compressed size, u32 extended header, u16 minor, u16 major, u32 architecture,
…, u64 flags at byte 40, …, u64 uncompressed size at byte 56. Checked against NVIDIA's `cuobjdump` on real
builds (plain, compressed, relocatable, several files). Payloads are not decompressed: the entry's own
header names the architecture. `__nv_relfatbin` holds code that was not linked yet: no GPU runs it, and
`cuobjdump` does not list it either.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

MAGIC = b"\x50\xed\x55\xba"
SECTION = ".nv_fatbin"

_HEADER = struct.Struct("<4sHHQ")
_ENTRY = struct.Struct("<HHIQ")
_PTX, _CUBIN = 1, 2
_LTO_KINDS = (0x40,)  # NVVM intermediate code: only a linker uses it
_VERSION = 24
_ARCHITECTURE = 28
_FLAGS = 40
_UNCOMPRESSED = 56
_FLAG_LZ4 = 0x2000
_FLAG_ZSTD = 0x8000
_FLAG_ARCH_SPECIFIC = 0x100000  # sm_90a: this very architecture only
_FLAG_FAMILY = 0x200000  # sm_100f: this family only
# nvcc's final link adds a cubin per architecture that holds no kernel; it is under 1.7 KB where the
# smallest kernel's is over 2.5 KB (CUDA 13.0).
_STUB_BYTES = 2048


# PTX 8.x went its own way (PTX ISA manual, release history); 7.x is CUDA 11.x and 9.x is 13.x.
_PTX_8 = ("12.0", "12.1", "12.2", "12.3", "12.4", "12.5", "12.7", "12.8", "12.9")


def _ptx_cuda(major: int, minor: int) -> str | None:
    if major == 8:
        return _PTX_8[minor] if minor < len(_PTX_8) else None
    return {7: f"11.{minor}", 9: f"13.{minor}"}.get(major)


class Bytes(Protocol):
    """`bytes`, `mmap` and `memoryview`-like: sliceable and searchable."""

    def __getitem__(self, key: slice, /) -> bytes: ...
    def __len__(self) -> int: ...
    def find(self, sub: bytes, start: int, end: int, /) -> int: ...


class FatbinError(ValueError):
    """The section is not what its headers say; the text tells where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One piece of device code.

    Attributes:
        kind: "cubin" (machine code), "ptx", "lto" or "other".
        sm: the number as NVIDIA writes it, 90 for 9.0, 120 for 12.0.
        suffix: "" or "a" (this architecture only) or "f" (this family only).
        size: bytes of the code itself, before compression.
        kernels: False for the link stub, that holds no function.
        version: of PTX, its language version (9, 0); of machine code, its format's.
    """

    kind: str
    sm: int
    suffix: str
    compressed: bool
    size: int
    kernels: bool
    version: tuple[int, int] = (0, 0)

    @property
    def ptx_cuda(self) -> str | None:
        """The CUDA that a driver must know to compile this PTX, "13.0" for PTX 9.0 (or None)."""
        return _ptx_cuda(*self.version) if self.kind == "ptx" else None

    @property
    def architecture(self) -> str:
        """ "9.0", "9.0a", "12.1"."""
        return f"{self.sm // 10}.{self.sm % 10}{self.suffix}"


@dataclass(frozen=True, slots=True)
class Fatbin:
    """The device code of one compiled file."""

    offset: int
    entries: tuple[Entry, ...]

    @property
    def has_kernels(self) -> bool:
        return any(entry.kernels for entry in self.entries)


def architecture_key(text: str) -> tuple[int, int, str]:
    """Sorts "9.0" before "10.0" before "10.0a"."""
    major, _, rest = text.partition(".")
    digits = "".join(c for c in rest if c.isdigit())
    return int(major), int(digits or 0), rest[len(digits) :]


def architectures(fatbins: tuple[Fatbin, ...], kind: str) -> tuple[str, ...]:
    """All architectures with this kind of code, ascending, each once (what `cuobjdump` lists)."""
    found = {e.architecture for fatbin in fatbins for e in fatbin.entries if e.kind == kind}
    return tuple(sorted(found, key=architecture_key))


def read_fatbins(data: Bytes, start: int = 0, end: int | None = None) -> tuple[Fatbin, ...]:
    """All fatbins between two offsets of `data` (one section of a file).

    Raises:
        FatbinError: no fatbin where there must be one, or one that runs past the section's end.
    """
    end = len(data) if end is None else end
    fatbins = []
    offset = start
    while (offset := data.find(MAGIC, offset, end)) >= 0:
        header = data[offset : offset + _HEADER.size]
        if len(header) < _HEADER.size:
            raise FatbinError(f"fatbin at byte {offset}: header cut off")
        _, version, header_size, size = _HEADER.unpack(header)
        stop = offset + header_size + size
        if version != 1 or header_size < _HEADER.size or stop > end:
            raise FatbinError(
                f"fatbin at byte {offset}: version {version}, header of {header_size} bytes, "
                f"ends at byte {stop} of {end}; this reader knows version 1"
            )
        fatbins.append(Fatbin(offset, tuple(_entries(data, offset + header_size, stop))))
        offset = stop
    if not fatbins and end > start:
        raise FatbinError(f"no fatbin in the {end - start} bytes of `{SECTION}`")
    return tuple(fatbins)


def _entries(data: Bytes, offset: int, end: int) -> Iterator[Entry]:
    while offset + _ENTRY.size <= end:
        kind, _, header_size, padded = _ENTRY.unpack(data[offset : offset + _ENTRY.size])
        after = offset + header_size + padded
        if header_size < 64 or after > end:
            raise FatbinError(
                f"entry at byte {offset}: header of {header_size} and code of {padded} bytes "
                f"do not fit before byte {end}"
            )
        header = data[offset : offset + header_size]
        code = data[offset + header_size : offset + header_size + min(padded, _STUB_BYTES)]
        yield _entry(kind, header, padded, code)
        offset = after


def _entry(kind: int, header: bytes, padded: int, code: bytes) -> Entry:
    (sm,) = struct.unpack_from("<I", header, _ARCHITECTURE)
    minor, major = struct.unpack_from("<HH", header, _VERSION)
    (flags,) = struct.unpack_from("<Q", header, _FLAGS)
    (uncompressed,) = struct.unpack_from("<Q", header, _UNCOMPRESSED)
    compressed = bool(flags & (_FLAG_LZ4 | _FLAG_ZSTD))
    size = int(uncompressed) if compressed and uncompressed else padded
    name = {_PTX: "ptx", _CUBIN: "cubin"}.get(kind, "lto" if kind in _LTO_KINDS else "other")
    return Entry(
        kind=name,
        sm=int(sm),
        suffix=_suffix(flags),
        compressed=compressed,
        size=size,
        kernels=_has_kernels(name, size, compressed, code),
        version=(int(major), int(minor)),
    )


def _suffix(flags: int) -> str:
    if flags & _FLAG_FAMILY:
        return "f"
    return "a" if flags & _FLAG_ARCH_SPECIFIC else ""


def _has_kernels(kind: str, size: int, compressed: bool, code: bytes) -> bool:
    if kind == "ptx":
        # what stands beside relocatable code is only a version line, not a kernel
        return compressed or b".entry" in code or size > _STUB_BYTES
    if kind != "cubin" or size > _STUB_BYTES:
        return kind == "cubin"
    return not compressed and b".text." in code
