"""What a wheel says of itself: the headers of METADATA and WHEEL, read from the archive alone."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from mambaops.core.errors import MambaopsError
from mambaops.core.files import regular
from mambaops.wheels.archive import dist_info

MOST_BYTES = 4 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Headers as they are written; empty where one is missing.

    Attributes:
        requires: the Requires-Dist lines. requires_python: the condition on Python. tags: WHEEL's, e.g. "cp311-cp311-linux_x86_64"; an installed package
            is read without them.
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()
    requires_python: str = ""
    tags: tuple[str, ...] = ()


def parse_metadata(metadata: bytes, wheel: bytes = b"") -> Metadata:
    """The record of what the two files say."""
    headers = _headers(metadata)
    return Metadata(
        name=str(headers.get("Name") or ""),
        version=str(headers.get("Version") or ""),
        requires=tuple(map(str, headers.get_all("Requires-Dist") or [])),
        requires_python=str(headers.get("Requires-Python") or ""),
        tags=tuple(map(str, _headers(wheel).get_all("Tag") or [])),
    )


def read_metadata(path: Path, archive: zipfile.ZipFile) -> Metadata:
    """The same of an opened wheel.

    Raises:
        MambaopsError: it has no `.dist-info` folder, or several, or one without these files.
    """
    folder = dist_info(path, archive.namelist())
    with archive.open(f"{folder}/METADATA") as metadata, archive.open(f"{folder}/WHEEL") as wheel:
        return parse_metadata(metadata.read(MOST_BYTES), wheel.read(MOST_BYTES))


def metadata_of(path: Path) -> Metadata:
    """The same of a file.

    Raises:
        MambaopsError: it cannot be read, or is no wheel.
    """
    try:
        with zipfile.ZipFile(regular(path)) as archive:
            return read_metadata(path, archive)
    except (OSError, zipfile.BadZipFile) as error:
        raise MambaopsError(f"`{path}` cannot be read as a wheel: {error}") from error


def _headers(text: bytes) -> Message:
    return HeaderParser().parsestr(text.decode("utf-8", errors="replace"))
