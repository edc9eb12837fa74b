"""Changing a file that belongs to the person: aside first, in one step, mode and links kept."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from mambaops.core.errors import MambaopsError
from mambaops.core.files import regular, write_bytes


def read_bytes(path: Path) -> bytes | None:
    """The file's bytes, or None where there is none.

    Raises:
        MambaopsError: it is there and cannot be read.
    """
    try:
        return regular(path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MambaopsError(f"{path} cannot be read: {error.strerror}") from error


def replace_bytes(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Replace a file as a whole; a link stays a link and its target is what changes.

    Args:
        mode: permission bits; None keeps those of the file (0o644 for a new one).

    Raises:
        MambaopsError: the folder cannot be written to or the disk is full; the file is untouched.
    """
    real = path.resolve()
    new = None if real.exists() else 0o644
    write_bytes(real, content, mode=new if mode is None else mode)


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
