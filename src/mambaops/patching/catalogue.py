"""`patches/catalogue.yaml`: every edit to others' sources, with what, why, where, for which versions."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from mambaops.core.errors import MambaopsError
from mambaops.core.paths import data_dir


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One edit.

    Attributes:
        id: stands in every manifest and in the mark that the edit leaves.
        kind: `codemod` (Python, works on every version) or `diff` (a file, pinned).
        target: the file, relative to the source folder; for torch, relative to site-packages.
        versions: to which releases it applies, in words.
        file: the `*.patch` beside the catalogue (kind `diff`).
        sha256: of the target before the diff; the diff applies to nothing else.
        nvcc: the oldest nvcc release that needs the diff, e.g. "13.0"; empty: any.
    """

    id: str
    kind: Literal["codemod", "diff"]
    what: str
    why: str
    target: str
    versions: str
    link: str
    file: str = ""
    sha256: str = ""
    nvcc: str = ""


class _Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    patches: tuple[Entry, ...]


def load(folder: Path | None = None) -> tuple[Entry, ...]:
    """Every entry, checked.

    Raises:
        MambaopsError: the file is missing or wrong, with the key path.
    """
    import yaml

    path = (folder or data_dir("patches")) / "catalogue.yaml"
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        entries = msgspec.convert(data, _Catalogue).patches
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise MambaopsError(f"{path}: {error}") from error
    for entry in entries:
        if entry.kind == "diff" and not (entry.file and entry.sha256):
            raise MambaopsError(f"{path}: {entry.id}: a diff needs `file` and `sha256`")
    return entries


def diffs(folder: Path | None = None) -> tuple[Entry, ...]:
    """The one-off diffs of the catalogue."""
    return tuple(entry for entry in load(folder) if entry.kind == "diff")


def diff_text(entry: Entry, folder: Path | None = None) -> str:
    """The text of a one-off diff."""
    return ((folder or data_dir("patches")) / entry.file).read_text(encoding="utf-8")
