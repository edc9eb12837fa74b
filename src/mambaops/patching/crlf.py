"""Windows line ends in scripts (`$'\\r': command not found`), taken out in place."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mambaops.core.errors import MambaopsError, UsageError
from mambaops.core.files import regular, write_bytes

# Windows reads these itself, and cmd.exe even needs CRLF
WINDOWS_SCRIPTS = frozenset({".bat", ".cmd", ".ps1", ".psm1", ".psd1", ".reg", ".vbs"})
# folders whose files are not for people to edit
SKIPPED_FOLDERS = frozenset({".git", ".hg", ".svn", ".mambaops-pristine", "__pycache__"})
_SNIFF = 8192

Outcome = Literal["stripped", "has CRLF", "clean", "skipped", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """One file. `lines` counts the line ends that were (or would be) changed; `reason` says why not."""

    path: str
    outcome: Outcome
    lines: int = 0
    reason: str = ""


def to_lf(data: bytes) -> tuple[bytes, int]:
    """Text with LF line ends, and how many were CRLF. A lone carriage return stays."""
    return data.replace(b"\r\n", b"\n"), data.count(b"\r\n")


def strip_crlf(paths: Sequence[Path], *, check: bool = False) -> list[FileReport]:
    """Strip every text file of `paths` (folders with all that is in them); `check` writes nothing.

    Mode bits stay, a file without CRLF is not touched, links and binaries are left alone.

    Raises:
        UsageError: a path is not there.
    """
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder")
    files = dict.fromkeys(file for path in paths for file in _files(path))
    return [_strip(file, check) for file in files]


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path.resolve() if path.is_symlink() else path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(set(folders) - SKIPPED_FOLDERS)
        yield from (Path(folder) / name for name in sorted(names))


def _strip(path: Path, check: bool) -> FileReport:
    if path.suffix.lower() in WINDOWS_SCRIPTS:
        return FileReport(path=str(path), outcome="skipped", reason="a Windows script")
    if path.is_symlink() or not path.is_file():
        return FileReport(path=str(path), outcome="skipped", reason="a link or no plain file")
    try:
        with regular(path).open("rb") as stream:
            data = stream.read(_SNIFF)
            if b"\0" in data:
                return FileReport(path=str(path), outcome="skipped", reason="binary")
            data += stream.read()
    except OSError as error:
        return FileReport(path=str(path), outcome="failed", reason=error.strerror or str(error))
    wanted, lines = to_lf(data)
    if not lines:
        return FileReport(path=str(path), outcome="clean")
    if b"\0" in data:
        return FileReport(path=str(path), outcome="skipped", reason="binary")
    if check:
        return FileReport(path=str(path), outcome="has CRLF", lines=lines)
    try:
        write_bytes(path, wanted)
    except MambaopsError as error:
        return FileReport(path=str(path), outcome="failed", lines=lines, reason=error.message)
    return FileReport(path=str(path), outcome="stripped", lines=lines)
