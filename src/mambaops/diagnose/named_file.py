"""What a compiled file that a log names says itself, when it lies on this machine: its torch, its ABI, its libraries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mambaops.core import process
from mambaops.core.errors import MambaopsError
from mambaops.diagnose.predicates import NamedFile
from mambaops.facts.model import Facts

_FILE = re.compile(r"(/[^\s:'\"()`,]{1,400}\.so[\w.]{0,20})")
_PATIENCE = 20.0  # seconds for ldd, which loads the file's libraries


def look(line: str, facts: Facts) -> NamedFile | None:
    """The compiled file that a line names, looked at; None where it is not here.

    `required by FILE` counts before the file that is complained of first.
    """
    named = [Path(path) for path in reversed(_FILE.findall(line))]
    found = next((path for path in named if path.is_file()), None)
    return None if found is None else _looked_at(found, facts)


def _looked_at(path: Path, facts: Facts) -> NamedFile:
    from mambaops.wheels.inspect.abi import cxx11_abi, missing_from, torch_era
    from mambaops.wheels.inspect.elf import inspect_extension

    try:
        undefined = inspect_extension(path).undefined
    except (MambaopsError, OSError):  # no compiled file, or not for us
        undefined = frozenset()
    own = facts.torch
    return NamedFile(
        name=path.name,
        built_for=torch_era(undefined).specifier or "",
        lacking=tuple(missing_from(own.version, undefined)) if own else (),
        cxx11_abi=cxx11_abi(undefined),
        libraries=dict(_libraries(path)),
    )


def _libraries(path: Path) -> Iterator[tuple[str, str]]:
    """Where the loader takes each library from; "" for one that it does not find."""
    done = process.run(["ldd", path], timeout=_PATIENCE, check=False)
    for name, place in re.findall(r"(\S+) => (not found|/\S+)", done.stdout):
        yield name, "" if place == "not found" else place


def told(file: NamedFile, facts: Facts) -> Iterator[str]:
    """What it tells about the failure, for reading."""
    own = facts.torch
    if file.built_for:
        mine = f"; yours is {own.version}" if own else ""
        yield f"{file.name} was built for torch {file.built_for}{mine}"
    if own and not file.lacking and file.built_for:
        yield f"torch {own.version} has what it asks torch for: another torch was loaded"
    if file.has_another_abi(own):
        yield f"it was built with the {_abi(file.cxx11_abi)} C++11 ABI, your torch with the {_abi(not file.cxx11_abi)}"
    yield from (f"ldd: {name} is not found" for name, place in file.libraries.items() if not place)
    yield from (f"ldd: {name} comes from {place}" for name, place in file.foreign())


def _abi(new: bool | None) -> str:
    return "new" if new else "old"
