"""Writing files so that a reader sees the old one or the new one, never half of one; and reading digests."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from mambaops.core.errors import MambaopsError

CHUNK = 1 << 20


@contextlib.contextmanager
def replacing(path: Path, *, mode: int | None = None) -> Iterator[Path]:
    """A new, empty file beside `path`; when the block ends it is flushed to the disk and takes its place.

    A link at `path` is replaced, not followed: resolve it first where its target is meant.

    Args:
        mode: permission bits; default: those of the file that is replaced, else what the umask says.

    Raises:
        OSError: the folder cannot be written to, or the disk is full. Then, and after any error of the
            block, `path` is as it was and nothing is left beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    before = _status(path)
    _refuse_devices(path, before)
    bits = mode if mode is not None else before.st_mode & 0o7777 if before else None
    aside = _beside(path)
    # never open to others while it is written, if what it replaces is not; we must write to it meanwhile
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    os.close(os.open(aside, flags, 0o666 if bits is None else bits & 0o777 | 0o600))
    try:
        yield aside
        _finish(aside, bits, before)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes, *, mode: int | None = None) -> Path:
    """Replace `path` as a whole; `mode` and links as in `replacing`.

    Raises:
        MambaopsError: the folder cannot be written to, or the disk is full; `path` is as it was.
    """
    try:
        with replacing(path, mode=mode) as aside:
            aside.write_bytes(data)
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def write_text(path: Path, text: str, *, mode: int | None = None) -> Path:
    """The same for text, as UTF-8 with its line ends as they are."""
    return write_bytes(path, text.encode("utf-8"), mode=mode)


def replace_link(link: Path, target: Path) -> Path:
    """Make `link` point to `target`, whatever file or link stood there.

    Raises:
        MambaopsError: the folder cannot be written to, or `link` is a folder.
    """
    aside = _beside(link)
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        aside.symlink_to(target)
        aside.replace(link)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise unwritable(link, error) from error
    return link


def regular(path: Path) -> Path:
    """The path itself, of a file that can be opened: opening a pipe that nobody writes to would never end.

    Raises:
        OSError: nothing is there, or it is a folder, a pipe, a socket or a device.
    """
    if kind := _kind(path.stat().st_mode):
        raise OSError(errno.EINVAL, f"it is a {kind}, not a file", str(path))
    return path


def _kind(mode: int) -> str:
    """What it is if it is no regular file."""
    kinds = {
        stat.S_IFDIR: "folder",
        stat.S_IFIFO: "pipe",
        stat.S_IFSOCK: "socket",
        stat.S_IFCHR: "device",
        stat.S_IFBLK: "device",
    }
    return kinds.get(stat.S_IFMT(mode), "")


def unwritable(path: Path, error: OSError) -> MambaopsError:
    """What a person is told about a file that `replacing` could not replace."""
    return MambaopsError(
        f"{path} cannot be written: {error.strerror or error}; it is as it was",
        hint=f"writing to {path.parent} needs another user, or space on its disk",
    )


def _refuse_devices(path: Path, before: os.stat_result | None) -> None:
    """A file in the place of /dev/null, or of /dev/stdout's link, would break more than this command."""
    kind = _kind(before.st_mode) if before else ""
    if kind or path.parent.resolve().parts[:2] in (("/", "dev"), ("/", "proc"), ("/", "sys")):
        raise OSError(errno.EINVAL, f"it is a {kind or 'device'}, not a file", str(path))


def _beside(path: Path) -> Path:
    # a name may be as long as the file system allows, so only its beginning is kept
    return path.with_name(f".{path.name[:40]}.{os.urandom(6).hex()}.tmp")


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _finish(aside: Path, bits: int | None, before: os.stat_result | None) -> None:
    handle = os.open(aside, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    if before is not None and before.st_uid != os.geteuid():
        # root leaves a person's file theirs; who may not give files away keeps this one
        with contextlib.suppress(PermissionError):
            os.chown(aside, before.st_uid, before.st_gid)
    if bits is not None:
        aside.chmod(bits)  # after the owner: changing that takes setuid away


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal digits."""
    import hashlib

    digest = hashlib.sha256()
    with regular(path).open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
