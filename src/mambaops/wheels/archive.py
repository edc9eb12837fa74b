"""Is this file a whole, honest wheel? Read from the archive alone, before anything is unpacked.

A wheel comes from the network or from a stick: it may be cut off, be something else, or be made to do
harm. Every member is inflated once and held against RECORD, so a file that passes is the file that was
packed.
"""

from __future__ import annotations

import shlex
import stat
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from installer.records import RecordEntry

from mambaops.core.errors import MambaopsError
from mambaops.core.files import regular
from mambaops.wheels.builds import BadWheelName
from mambaops.wheels.names import parse_wheel_name
from mambaops.wheels.record import STRONG, UNRECORDED, BadRecord, is_as_recorded, read_record

# The largest real wheels (torch with CUDA) unpack to about 5 GiB; code with many zeros packs 20:1 at most.
MAX_UNPACKED = 32 * 1024**3
MAX_RATIO = 100
MAX_MEMBERS = 200_000
# below this no ratio matters: a tiny file of zeros harms nobody
RATIO_FROM = 64 * 1024**2


def check_zip(path: Path) -> None:
    """Hold a wheel against its own RECORD and against what no honest wheel does.

    Raises:
        MambaopsError: unreadable, no zip archive, cut off, a bomb, a member that climbs out of the
            folder, a link, an encrypted or doubled member, no or two RECORDs, a member that RECORD does not
            know, misses, or gives another hash.
    """
    try:
        with zipfile.ZipFile(regular(path)) as archive:
            members = check_members(path, archive)
            check_record(path, archive, members)
    except OSError as error:
        raise MambaopsError(f"`{path}` cannot be read: {error.strerror or error}") from error
    except zipfile.BadZipFile as error:
        raise _bad(path, f"is not a whole zip archive ({error})", hint=what_else(path)) from error
    except (zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _bad(path, f"is damaged inside ({error})") from error


def check_members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The files of an archive by name, after looking only at its directory.

    Raises:
        MambaopsError: a bomb, a member that climbs out, a link, an encrypted or doubled member.
    """
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise _bad(path, f"holds {len(infos)} members; no wheel has more than {MAX_MEMBERS}")
    _check_sizes(path, infos)
    files: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        _check_name(path, info)
        if info.filename in files:
            raise _bad(path, f"holds `{info.filename}` twice")
        if not info.is_dir():
            files[info.filename] = info
    return files


def _check_sizes(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    packed = path.stat().st_size
    unpacked = sum(info.file_size for info in infos)
    if sum(info.compress_size for info in infos) > packed:
        raise _bad(path, "has members that lie over each other: a zip bomb")
    if unpacked > MAX_UNPACKED:
        raise _bad(path, f"would unpack to {unpacked} bytes, more than {MAX_UNPACKED}: a zip bomb")
    if unpacked > RATIO_FROM and unpacked > MAX_RATIO * packed:
        raise _bad(path, f"would unpack from {packed} to {unpacked} bytes: a zip bomb")


def _check_name(path: Path, info: zipfile.ZipInfo) -> None:
    # zipfile cuts names at a NUL and turns the separator of Windows: judge what is really written
    name = info.orig_filename
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise _bad(path, f"has a member that climbs out of its folder: `{name!a}`")
    if len(parts[0]) > 1 and parts[0][1] == ":":
        raise _bad(path, f"has a member with a drive letter: `{name!a}`")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise _bad(path, f"has a link where a file should be: `{name}`")
    if info.flag_bits & 0x1:
        raise _bad(path, f"is encrypted (`{name}`)")


def check_record(path: Path, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> None:
    """Inflate every member and hold it against RECORD.

    Raises:
        MambaopsError: no RECORD, or a member and its line in RECORD do not agree.
    """
    folder = dist_info(path, members)
    exempt = {f"{folder}/{name}" for name in UNRECORDED}
    record = _entries(path, archive.read(f"{folder}/RECORD"), exempt)
    for name in sorted(set(members) - set(record) - exempt):
        raise _bad(path, f"holds `{name}`, which its RECORD does not know")
    for name, entry in record.items():
        if name not in members:
            raise _bad(path, f"lacks `{name}`, which its RECORD lists")
        with archive.open(members[name]) as member:
            if not is_as_recorded(entry, member):
                raise _bad(path, f"holds a `{name}` that is not the one in its RECORD")


def _entries(path: Path, text: bytes, exempt: set[str]) -> dict[str, RecordEntry]:
    try:
        listed = read_record(text.decode("utf-8", errors="replace"))
    except BadRecord as error:
        raise _bad(path, f"has no usable RECORD ({error.message})") from error
    entries = {entry.path: entry for entry in listed if entry.path not in exempt}
    for entry in entries.values():
        if entry.hash_ is None or entry.hash_.name not in STRONG or not entry.hash_.value:
            raise _bad(path, f"has no usable hash for `{entry.path}` in its RECORD")
    return entries


def dist_info(path: Path, members: Collection[str]) -> str:
    """The name of the one `*.dist-info` folder among the names of an archive.

    Raises:
        MambaopsError: none, several, or one without METADATA, WHEEL and RECORD.
    """
    tops = {name.split("/", 1)[0] for name in members if "/" in name}
    folders = sorted(top for top in tops if top.endswith(".dist-info"))
    if len(folders) != 1:
        raise _bad(path, f"has {len(folders)} .dist-info folders; a wheel has one")
    for needed in ("METADATA", "WHEEL", "RECORD"):
        if f"{folders[0]}/{needed}" not in members:
            raise _bad(path, f"has no {folders[0]}/{needed}: it is no wheel")
    return folders[0]


def _bad(path: Path, found: str, *, hint: str = "") -> MambaopsError:
    return MambaopsError(f"`{path.name}` {found}", hint=hint or f"refused; look at `{path}`")


def what_else(path: Path) -> str:
    """What a file that is no zip archive seems to be: the usual mistakes are a cut-off download and a web page."""
    head = path.read_bytes()[:512].lstrip() if path.stat().st_size < 1024**2 else b""
    if head[:1] == b"<":
        return (
            "it is a web page, not a wheel: a proxy or a login page answered instead of the server"
        )
    if head.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer: fetch the real file with `git lfs pull`"
    found = f"it ends too early or is something else ({path.stat().st_size} bytes): fetch it again"
    if not _is_release_file(path.name):
        return f"{found} from where it came, with `mambaops fetch-wheel ADDRESS`"
    words = shlex.join(["--name", path.name, "--output", str(path.absolute().parent)])
    return f"{found}, in its place: `mambaops fetch-wheel {words} --force`"


def _is_release_file(name: str) -> bool:
    """Is it named like upstream's release files, whose address the name tells?"""
    try:
        build = parse_wheel_name(name).build
    except BadWheelName:
        return False
    return build.scheme in ("upstream", "ngc") and not build.repaired
