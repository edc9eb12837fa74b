"""Writing files so that a reader sees the old one or the new one, never half of one; and reading digests."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

CHUNK = 1 << 20


def write_bytes(path: Path, data: bytes, *, mode: int | None = None) -> Path:
    """Replace `path` as a whole: written beside it, flushed to the disk, then renamed.

    Args:
        mode: permission bits; default: those of the file that is replaced, else what the umask says.

    Raises:
        OSError: the folder cannot be written to, or the disk is full; `path` is as it was then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".tmp")
    aside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.chmod(_mode(path) if mode is None else mode)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return path


def write_text(path: Path, text: str, *, mode: int | None = None) -> Path:
    """The same for text, as UTF-8. Errors as in `write_bytes`."""
    return write_bytes(path, text.encode("utf-8"), mode=mode)


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode & 0o7777
    except OSError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
