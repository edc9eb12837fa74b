"""The text of a log, whatever it comes in: any Unicode encoding, packed or not, a file or a pipe.

What could not be read as it stands there is told in `notes`, so that nobody takes silence for a good end.
"""

from __future__ import annotations

import bz2
import codecs
import importlib
import lzma
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from mambaops.core.errors import UsageError
from mambaops.core.files import regular
from mambaops.diagnose.text import whole_lines

_BLOCK = 1 << 20
# PowerShell's `>` writes UTF-16 with a byte order mark
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LOOKED_AT = 4096  # bytes of the start that tell an encoding, and text from what is none
_UNPRINTABLE = 0.1  # the share of control characters above which a file is no text


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class Log:
    """A log that is being read.

    Attributes:
        name: what to call it.
        notes: what is odd about it, complete when all pieces are read.
    """

    def __init__(self, name: str, blocks: Iterator[bytes]) -> None:
        self.name = name
        self.notes: list[str] = []
        self._blocks = blocks

    def pieces(self) -> Iterator[str]:
        """The text in pieces that end at line ends; bytes that are no text are replaced."""
        last, length = "", 0
        for piece in whole_lines(self._decoded(self._unpacked(self._blocks))):
            if not length:
                self._look_at(piece[:_LOOKED_AT])
            last, length = piece, length + len(piece)
            yield piece
        if not length:
            self.notes.append("the log is empty")
        elif not last.endswith(("\n", "\r")):
            self.notes.append("the log ends in the middle of a line")

    def _look_at(self, start: str) -> None:
        odd = sum(not (char.isprintable() or char in "\t\n\r\x1b\b\f") for char in start)
        if odd + start.count("\ufffd") > _UNPRINTABLE * len(start):
            self.notes.append("the log looks like binary data and not like text")

    def _decoded(self, blocks: Iterator[bytes]) -> Iterator[str]:
        decoder = None
        for block in blocks:
            decoder = decoder or codecs.getincrementaldecoder(_encoding(block))(errors="replace")
            yield decoder.decode(block)
        if decoder is not None:
            yield decoder.decode(b"", final=True)

    def _unpacked(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        first = next(blocks, b"")
        unpacker = _unpacker(first[:6])
        if unpacker is None:
            yield from _again(first, blocks)
            return
        try:
            yield from self._members(_again(first, blocks), unpacker)
        except _damage() as error:
            self.notes.append(f"the packed log is damaged ({error}); only what is before is read")

    def _members(self, blocks: Iterator[bytes], unpacker: _Unpacker) -> Iterator[bytes]:
        """What is packed, also where several files were joined."""
        for data in blocks:
            while data:
                yield unpacker.decompress(data)
                data = unpacker.unused_data if unpacker.eof else b""
                if data:
                    following = _unpacker(data[:6])
                    if following is None:
                        return
                    unpacker = following
        if not unpacker.eof:
            self.notes.append("the packed log is cut: only what is before the cut is read")


def log_of(path: Path) -> Log:
    """The log in a file of any size.

    Raises:
        UsageError: while reading, the file cannot be read.
    """
    return Log(str(path), _blocks_of(path))


def log_of_stream(stream: BinaryIO | None = None) -> Log:
    """The log that comes through a pipe (default: our own stdin)."""
    source = stream or sys.stdin.buffer
    return Log("stdin", iter(lambda: source.read(_BLOCK), b""))


def _blocks_of(path: Path) -> Iterator[bytes]:
    try:
        with _opened(path) as file:
            yield from iter(lambda: file.read(_BLOCK), b"")
    except OSError as error:
        raise UsageError(f"log `{path}` cannot be read: {error.strerror}") from error


def _opened(path: Path) -> BinaryIO:
    """A file, or the pipe that `<(command)` is; opening another pipe would wait for who never comes."""
    handed = path.parent.resolve().parts[:2] == ("/", "proc")
    return path.open("rb") if handed else regular(path).open("rb")


def _again(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _unpacker(start: bytes) -> _Unpacker | None:
    """What unpacks a file that begins like this; None for what is not packed.

    Raises:
        UsageError: packed by something that this Python cannot unpack.
    """
    if start.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(wbits=31)
    if start.startswith(b"BZh"):
        return bz2.BZ2Decompressor()
    if start.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMADecompressor()
    return _of_zstandard() if start.startswith(b"\x28\xb5\x2f\xfd") else None


def _of_zstandard() -> _Unpacker:
    zstd = _zstandard()
    if zstd is None:
        raise UsageError(
            "the log is packed by zstd, which this Python cannot unpack",
            hint="`zstd -dc build.log.zst | mambaops diagnose`",
        )
    unpacker: _Unpacker = zstd.ZstdDecompressor()
    return unpacker


def _damage() -> tuple[type[Exception], ...]:
    """What unpackers raise for bytes that they did not pack."""
    zstd = _zstandard()
    own = (zstd.ZstdError,) if zstd else ()
    return (zlib.error, lzma.LZMAError, OSError, ValueError, *own)


def _zstandard() -> Any:
    """The module that unpacks zstd; None where there is none."""
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        return importlib.import_module(name)
    except ImportError:  # a Python that was built without it
        return None


def _encoding(start: bytes) -> str:
    marked = next((name for mark, name in _MARKS if start.startswith(mark)), "")
    return marked or _unmarked(start[:_LOOKED_AT])


def _unmarked(start: bytes) -> str:
    """UTF-16 without a byte order mark shows by the zeros beside its Latin letters."""
    even, odd = start[0::2].count(0), start[1::2].count(0)
    half = max(len(start) // 2, 1)
    if odd > 0.4 * half and even < 0.1 * half:
        return "utf-16-le"
    if even > 0.4 * half and odd < 0.1 * half:
        return "utf-16-be"
    return "utf-8"
