"""One tar per bundle: the same content gives the same bytes, and nothing climbs out of it.

Written by ourselves and read by ourselves: plain files and folders only, sorted, without dates and owners.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from mambaops.core.errors import MambaopsError
from mambaops.core.files import regular, replacing, sha256_of, unwritable

CHUNK = 1024**2
EPOCH = 315532800  # 1980-01-01, the first date that zip files know as well
EXECUTABLE = (".sh",)
MEMBER_BYTES = 64 * 1024**2


def write_tar(folder: Path, top: str, output: Path) -> str:
    """Pack a folder under the name `top`, aside first; returns the tar's sha256."""
    try:
        with replacing(output) as aside, aside.open("wb") as file:
            hashed = _Hashed(file)
            with tarfile.open(fileobj=hashed, mode="w|", format=tarfile.PAX_FORMAT) as archive:
                for path in sorted(_files(folder)):
                    _add(archive, path, f"{top}/{path.relative_to(folder).as_posix()}")
    except OSError as error:
        raise unwritable(output, error) from error
    return hashed.digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mtime = path.stat().st_size, EPOCH
    info.mode = 0o755 if path.suffix in EXECUTABLE else 0o644
    with regular(path).open("rb") as file:
        archive.addfile(info, file)


class _Hashed(io.RawIOBase):
    """Writes through and keeps the hash."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.digest.update(data)
        return self._file.write(data)


def read_member(archive: Path, name: str) -> bytes:
    """A small file from a bundle's top folder; empty when there is none.

    Raises:
        MambaopsError: no whole tar.
    """
    try:
        with tarfile.open(regular(archive), "r:") as opened:
            for member in opened:
                if member.isreg() and PurePosixPath(member.name).parts[1:] == (name,):
                    file = opened.extractfile(member)
                    return file.read(MEMBER_BYTES) if file else b""
    except (tarfile.TarError, EOFError) as error:
        raise _cut_off(archive, error) from error
    return b""


def _cut_off(archive: Path, error: Exception) -> MambaopsError:
    return MambaopsError(
        f"`{archive.name}` is no whole tar archive ({error})",
        hint="it was cut off on the way: compare its sha256 with the one in FILE.tar.sha256, carry it again",
    )


def extract_tar(archive: Path, folder: Path) -> Path:
    """Unpack a bundle into `folder` and return the bundle's own folder in it.

    Files that are there whole already are passed over, so an interrupted unpacking is gone on with.

    Raises:
        MambaopsError: no tar, cut off, a member that climbs out or is neither file nor folder, no room.
    """
    try:
        with tarfile.open(regular(archive), "r:") as opened:
            tops = {_extract(opened, member, folder, archive) for member in opened}
    except (tarfile.TarError, EOFError) as error:
        raise _cut_off(archive, error) from error
    except OSError as error:
        raise MambaopsError(
            f"`{archive.name}` cannot be unpacked into `{folder}`: {error.strerror or error}",
            hint="make room and run the same command again: it goes on where it stopped",
        ) from error
    if len(tops) != 1:
        raise MambaopsError(f"`{archive.name}` holds {len(tops)} top folders; a bundle has one")
    return folder / tops.pop()


def _extract(opened: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, archive: Path) -> str:
    parts = PurePosixPath(member.name).parts
    if member.name.startswith("/") or ".." in parts or not parts or "\0" in member.name:
        raise MambaopsError(
            f"`{archive.name}` has a member that climbs out of its folder: `{member.name!a}`",
            hint="that is no bundle of mambaops: refused",
        )
    if not (member.isreg() or member.isdir()):
        raise MambaopsError(
            f"`{archive.name}` has a member that is neither file nor folder: `{member.name}`",
            hint="that is no bundle of mambaops: refused",
        )
    if member.isreg() and len(parts) > 1:
        _write_member(opened, member, folder.joinpath(*parts))
    return parts[0]


def _write_member(opened: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    # what is whole was written under its own name; its content is checked against the sums afterwards
    if target.is_file() and not target.is_symlink() and target.stat().st_size == member.size:
        return
    source = opened.extractfile(member)
    if source is None:
        return
    with source, replacing(target, mode=0o755 if member.mode & 0o100 else 0o644) as aside:
        with aside.open("wb") as file:
            shutil.copyfileobj(source, file, CHUNK)
        if aside.stat().st_size != member.size:
            raise EOFError(f"it ends inside `{member.name}`")


def sums(folder: Path) -> dict[str, str]:
    """Relative path -> sha256 of every file in a folder, sorted."""
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in sorted(_files(folder))}
