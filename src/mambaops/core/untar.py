"""Unpacking a tar archive that came from somewhere else: nothing leaves the folder, nothing special is made.

What Python's own filter "data" refuses is refused here too, and in the same words of every Python: that filter
came with 3.10.12 and 3.11.4, and Debian 12 has 3.11.2.
"""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Any

from mambaops.core.files import regular

# from 3.12 on, `extract` warns where no filter is named; what we refuse has been refused by then
_NO_FILTER: dict[str, Any] = (
    {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
)


def untar(archive: Path, folder: Path) -> None:
    """Unpack `archive` into `folder`; files are the user's own, and no mode lets others write to them.

    Raises:
        tarfile.TarError: it is no tar, is cut off, or has a member that is refused. EOFError: cut off.
        OSError: it cannot be read, or `folder` cannot be written to.
    """
    top = Path(os.path.realpath(folder))
    with tarfile.open(regular(archive)) as packed:
        for member in packed:
            _refuse(member, top)
            packed.extract(_tamed(member), top, **_NO_FILTER)


def _refuse(member: tarfile.TarInfo, top: Path) -> None:
    """Stop at a member that would leave the folder, now or through a link that was made before it."""
    if member.name.startswith(("/", os.sep)) or Path(member.name).is_absolute():
        raise tarfile.TarError(f"`{member.name}` has an absolute path")
    place = top / member.name
    _inside(top, place, f"`{member.name}` lies outside of the archive's folder")
    if member.islnk() or member.issym():
        if Path(member.linkname).is_absolute():
            raise tarfile.TarError(f"`{member.name}` is a link to `{member.linkname}`")
        start = place.parent if member.issym() else top
        said = f"`{member.name}` is a link out of the archive's folder: `{member.linkname}`"
        _inside(top, start / member.linkname, said)
    elif not (member.isreg() or member.isdir()):
        raise tarfile.TarError(f"`{member.name}` is neither a file nor a folder nor a link")


def _inside(top: Path, place: Path, said: str) -> None:
    # realpath follows the links that are on the disk by now, and leaves out `..`
    real = os.path.realpath(place)
    if os.path.commonpath([real, top]) != str(top):
        raise tarfile.TarError(said)


def _tamed(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """No setuid, sticky or group-writable bits, readable and writable by the user, owned by the user."""
    if member.isreg() or member.islnk():
        member.mode = member.mode & 0o755 | 0o600
        if not member.mode & 0o100:
            member.mode &= ~0o111
    elif member.isdir():
        member.mode = 0o755
    member.uname = member.gname = ""  # names would be looked up, and win over the numbers
    if hasattr(os, "getuid"):
        member.uid, member.gid = os.getuid(), os.getgid()
    return member
