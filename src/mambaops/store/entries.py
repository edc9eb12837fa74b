"""A stored wheel's entry: the sidecar `NAME.json` beside it, and whether the wheel is still the one that was put there."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from mambaops.core.files import sha256_of, write_bytes
from mambaops.wheels.keys import BuildKey


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A wheel's sidecar. Times are seconds since the epoch, sizes bytes."""

    wheel: str  # file name
    sha256: str
    size: int
    added: float
    digest: str | None = None  # of the key
    key: BuildKey | None = None  # None: put there by hand
    manifest: dict[str, Any] = {}  # whatever the builder says of itself; read by people only
    # what it asks of a system, read from its modules when it came; None: nothing
    glibc: str | None = None
    glibcxx: str | None = None
    used: float | None = None  # last time it was handed out (the sidecar's own time)

    @property
    def last_used(self) -> float:
        return self.added if self.used is None else self.used

    @property
    def distribution(self) -> str:
        """Whose wheel it is, as file names write it: `mamba_ssm`."""
        return self.wheel.partition("-")[0].lower()


def sidecar_of(wheel: Path) -> Path:
    """Where the entry of a wheel is written."""
    return wheel.with_name(f"{wheel.name}.json")


def read_entry(sidecar: Path) -> Entry:
    """An entry from its file.

    Raises:
        OSError: it cannot be read.
        msgspec.MsgspecError: it is no entry.
    """
    return msgspec.json.decode(sidecar.read_bytes(), type=Entry)


def write_entry(sidecar: Path, entry: Entry) -> None:
    """Write an entry, as a whole."""
    write_bytes(sidecar, msgspec.json.format(msgspec.json.encode(entry), indent=2) + b"\n")


def stored(wheel: Path) -> Entry | None:
    """The entry of a wheel that is in a store and is still the one that was put there; else None."""
    try:
        entry = read_entry(sidecar_of(wheel))
        return entry if entry.wheel == wheel.name and is_as_stored(wheel, entry) else None
    except (OSError, msgspec.MsgspecError):
        return None


# (device, inode, size, time of change) -> sha256: one process asks for the same file several times
_HASHED: dict[tuple[int, int, int, int], str] = {}


def is_as_stored(path: Path, entry: Entry) -> bool:
    """Is this file, byte by byte, the one of the entry?

    Raises:
        OSError: it cannot be read.
    """
    stat = path.stat()
    if stat.st_size != entry.size:
        return False
    # the time of the last change of the inode, which nobody can set back
    identity = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_ctime_ns)
    if identity not in _HASHED:
        _HASHED[identity] = sha256_of(path)
    return _HASHED[identity] == entry.sha256


def to_prune(
    entries: Iterable[Entry], now: float, *, keep: int | None, older_than: timedelta | None
) -> list[Entry]:
    """What pruning removes: of each package the least recently used ones, beyond `keep` and older than said.

    With neither limit nothing goes.
    """
    if keep is None and older_than is None:
        return []
    limit = now - older_than.total_seconds() if older_than is not None else None
    by_package: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.last_used, reverse=True):
        by_package.setdefault(entry.distribution, []).append(entry)
    beyond = [entry for group in by_package.values() for entry in group[keep:]]
    return [entry for entry in beyond if limit is None or entry.last_used < limit]
