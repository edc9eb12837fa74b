"""Changing a file that belongs to the person: aside first, in one step, mode and links kept."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from mambaops.core.errors import MambaopsError


def read_bytes(path: Path) -> bytes | None:
    """The file's bytes, or None where there is none.

    Raises:
        MambaopsError: it is there and cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MambaopsError(f"{path} cannot be read: {error.strerror}") from error


def replace_bytes(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Write beside, then `os.replace`; a link stays a link and its target is what changes.

    Args:
        mode: permission bits; None keeps those of the file (0o644 for a new one).

    Raises:
        MambaopsError: the folder cannot be written to or the disk is full; the file is untouched.
    """
    real = path.resolve()
    temporary = real.with_name(f".{real.name}.{os.getpid()}.tmp")
    try:
        before = real.stat() if real.exists() else None
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        bits = mode if mode is not None else before.st_mode & 0o7777 if before else 0o644
        temporary.chmod(bits)
        if before is not None and before.st_uid != os.geteuid():
            os.chown(temporary, before.st_uid, before.st_gid)
        temporary.replace(real)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise MambaopsError(
            f"{path} cannot be written: {error.strerror}; it is as it was",
            hint=f"write to {real.parent} needs another user, or space",
        ) from error


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the file's folder, so that two of us do not change it at once; leaves no lock file."""
    import fcntl

    folder = os.open(path.resolve().parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
