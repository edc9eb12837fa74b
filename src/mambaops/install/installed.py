"""Look into a package that is installed in an environment, from its files on disk."""

from __future__ import annotations

from pathlib import Path

from installer.records import RecordEntry
from msgspec.structs import replace
from packaging.utils import canonicalize_name

from mambaops.core import interpreters
from mambaops.core.errors import MambaopsError
from mambaops.install.installers import read_environment
from mambaops.wheels.inspect.contents import WheelContents, describe
from mambaops.wheels.inspect.elf import ELF_MAGIC, inspect_extension
from mambaops.wheels.metadata import parse_metadata
from mambaops.wheels.record import is_file_as_recorded, read_record


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
            hint=interpreters.HINT,
        )
    folder = _dist_info(Path(found.location), name)
    entries = _record(folder)
    modules = [Path(found.location) / one.path for one in entries if ".so" in one.path]
    contents = describe(
        f"{name} in {found.location}",
        None,
        parse_metadata((folder / "METADATA").read_bytes()),
        tuple(inspect_extension(path) for path in modules if _is_elf(path)),
    )
    changed = _changed(Path(found.location), entries)
    notes = [f"`{path}` is not the file that was installed" for path in changed]
    if found.editable:
        notes.append("installed editable: modules built into its source folder are not listed here")
    return replace(contents, notes=(*contents.notes, *notes))


def _dist_info(location: Path, name: str) -> Path:
    for folder in sorted(location.glob("*.dist-info")):
        if canonicalize_name(folder.name.split("-", 1)[0]) == name:
            return folder
    raise MambaopsError(
        f"{name} has no .dist-info folder in {location}: what it holds is not known"
    )


def _record(folder: Path) -> tuple[RecordEntry, ...]:
    try:
        return read_record((folder / "RECORD").read_text(encoding="utf-8"))
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


def _changed(location: Path, entries: tuple[RecordEntry, ...]) -> list[str]:
    """Compiled modules whose content is not RECORD's, or that are gone."""
    return [
        entry.path
        for entry in entries
        if ".so" in entry.path
        and entry.hash_ is not None
        and not is_file_as_recorded(entry, location / entry.path)
    ]
