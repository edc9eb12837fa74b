"""What a compiled file that a log names says itself, when it lies on this machine: its torch, its ABI, its libraries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mambaops.core import process
from mambaops.core.errors import MambaopsError
from mambaops.facts.model import Facts

_FILE = re.compile(r"(/[^\s:'\"()`,]{1,400}\.so[\w.]{0,20})")
_PATIENCE = 20.0  # seconds for ldd, which loads the file's libraries


def seen_in(line: str, facts: Facts) -> list[str]:
    """What the compiled file that a line names tells about the failure; nothing where it is not here.

    `required by FILE` counts before the file that is complained of first.
    """
    named = [Path(path) for path in reversed(_FILE.findall(line))]
    found = next((path for path in named if path.is_file()), None)
    return [] if found is None else [*_built_for(found, facts), *_libraries(found)]


def _built_for(path: Path, facts: Facts) -> Iterator[str]:
    from mambaops.wheels.inspect.abi import cxx11_abi, missing_from, torch_era
    from mambaops.wheels.inspect.elf import inspect_extension

    try:
        undefined = inspect_extension(path).undefined
    except (MambaopsError, OSError):
        return
    era, own = torch_era(undefined), facts.torch
    if era.specifier:
        mine = f"; yours is {own.version}" if own else ""
        yield f"{path.name} was built for torch {era.specifier}{mine}"
    missing = missing_from(own.version, undefined) if own else ()
    if own and not missing and era.specifier:
        yield f"torch {own.version} has what it asks torch for: another torch was loaded"
    abi = cxx11_abi(undefined)
    if abi is not None and own is not None and own.cxx11_abi is not None and abi != own.cxx11_abi:
        yield f"it was built with the {_abi(abi)} C++11 ABI, your torch with the {_abi(own.cxx11_abi)}"


def _abi(new: bool) -> str:
    return "new" if new else "old"


def _libraries(path: Path) -> Iterator[str]:
    """Libraries that the loader does not find, and NVIDIA's that come from elsewhere than torch's packages."""
    done = process.run(["ldd", path], timeout=_PATIENCE, check=False)
    for name, place in re.findall(r"(\S+) => (not found|/\S+)", done.stdout):
        if place == "not found":
            yield f"ldd: {name} is not found"
        elif re.match(r"lib(?:cu|nccl|nv)", name) and "site-packages" not in place:
            yield f"ldd: {name} comes from {place}"
