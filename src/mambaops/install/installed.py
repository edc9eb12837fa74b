"""Look into a package that is installed in an environment, from its files on disk."""

from __future__ import annotations

import base64
import csv
import hashlib
from pathlib import Path

from packaging.utils import canonicalize_name

from mambaops.core.errors import MambaopsError
from mambaops.install.installers import read_environment
from mambaops.wheels.inspect.contents import WheelContents, describe
from mambaops.wheels.inspect.elf import ELF_MAGIC, inspect_extension


def inspect_installed(package: str, python: Path) -> WheelContents:
    """What the compiled modules of an installed package hold.

    Raises:
        MambaopsError: it is not installed there, or its files cannot be read.
    """
    name = canonicalize_name(package)
    environment = read_environment(python, name)
    found = environment.installed.get(name)
    if found is None:
        raise MambaopsError(
            f"{package} is not installed in {environment.prefix} (nor is there a file of that name)",
            hint="name the environment: `--python /path/to/env/bin/python`",
        )
    folder = _dist_info(Path(found.location), name)
    rows = _record(folder)
    modules = [Path(found.location) / row[0] for row in rows if ".so" in row[0]]
    contents = describe(
        f"{name} in {found.location}",
        None,
        (folder / "METADATA").read_bytes(),
        tuple(inspect_extension(path) for path in modules if _is_elf(path)),
    )
    changed = _changed(Path(found.location), rows)
    notes = [f"`{path}` is not the file that was installed" for path in changed]
    if found.editable:
        notes.append("installed editable: modules built into its source folder are not listed here")
    from dataclasses import replace

    return replace(contents, notes=(*contents.notes, *notes))


def _dist_info(location: Path, name: str) -> Path:
    for folder in sorted(location.glob("*.dist-info")):
        if canonicalize_name(folder.name.split("-", 1)[0]) == name:
            return folder
    raise MambaopsError(
        f"{name} has no .dist-info folder in {location}: what it holds is not known"
    )


def _record(folder: Path) -> list[list[str]]:
    try:
        with (folder / "RECORD").open(encoding="utf-8", newline="") as file:
            return [row for row in csv.reader(file) if row]
    except OSError as error:
        raise MambaopsError(
            f"`{folder / 'RECORD'}` cannot be read: {error.strerror}",
            hint="a package without RECORD was not installed from a wheel: install it again",
        ) from error


def _is_elf(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(ELF_MAGIC)) == ELF_MAGIC
    except OSError:
        return False


def _changed(location: Path, rows: list[list[str]]) -> list[str]:
    """Compiled modules whose content is not RECORD's, or that are gone."""
    found = []
    for row in rows:
        # e.g. sha256=NPlq1wzAJ8Z_9sIaUHR5ZyWA6KTwkqLNF0pXY5B8hQk
        algorithm, _, expected = (row[1] if len(row) > 1 else "").partition("=")
        if ".so" not in row[0] or algorithm != "sha256":
            continue
        path = location / row[0]
        if not path.is_file() or _digest(path) != expected:
            found.append(row[0])
    return found


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1024**2):
            digest.update(block)
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
