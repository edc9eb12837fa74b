"""Candidates from folders: the store, and whatever a user names with `--find-links`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec.structs import replace

from mambaops.core.errors import MambaopsError
from mambaops.facts.model import Facts
from mambaops.knowledge.tables import minor_of
from mambaops.store.entries import Entry
from mambaops.store.store import Store
from mambaops.wheels.candidates import (
    REPAIRED_GLIBC,
    Candidate,
    from_name,
    split_architectures,
    unusable,
)
from mambaops.wheels.inspect.contents import WheelContents, inspect_wheel
from mambaops.wheels.inspect.extension import version_key
from mambaops.wheels.keys import BuildKey
from mambaops.wheels.names import WheelName, parse_wheel_name
from mambaops.wheels.repair.glibc import blocking


class Folder:
    """Wheels lying in a folder. Those whose name does not say the torch are looked into."""

    def __init__(self, path: Path, name: str = "find-links") -> None:
        self.name = name
        self._path = path

    def candidates(self, package: str, facts: Facts) -> Iterable[Candidate]:
        """Every wheel of the package; a file that is none is a candidate too, with the reason why not."""
        for file in sorted(self._path.glob("*.whl")):
            if file.name.replace("-", "_").lower().startswith(package.replace("-", "_") + "_"):
                yield _from_file(file, package, self.name)


class StoreFolder:
    """Our own store: each wheel with the key that it was built for."""

    name = "store"

    def __init__(self, root: Path | None = None) -> None:
        self._root = root

    def candidates(self, package: str, facts: Facts) -> Iterator[Candidate]:
        store = Store(self._root)
        if not store.path.is_dir():
            return
        for entry in store.entries():
            name = _parsed(entry.wheel)
            if name is None or name.package != package:
                continue
            file = store.path / entry.wheel
            if entry.key is None:
                yield _from_file(file, package, self.name)
            else:
                found = from_name(name, self.name, url=str(file), status="present")
                yield _with_key(found, entry, entry.key)


def from_contents(contents: WheelContents, source: str, file: Path) -> Candidate:
    """A candidate of which everything is known, because it was looked into."""
    assert contents.name is not None
    glibc = contents.highest("GLIBC")
    blocked = any(blocking(extension, REPAIRED_GLIBC) for extension in contents.extensions)
    above = bool(glibc and version_key(glibc) > version_key(REPAIRED_GLIBC))
    return replace(
        from_name(contents.name, source, url=str(file), status="present"),
        torch_spec=contents.era.specifier,
        cuda=contents.cuda or contents.name.build.cuda,
        cxx11_abi=contents.cxx11_abi,
        glibc=glibc,
        glibcxx=contents.highest("GLIBCXX"),
        repairable=above and not blocked,
        built_on="",
        cubins=contents.cubins,
        ptx=contents.ptx,
        unusable=next(iter(contents.contradictions), ""),
    )


def _from_file(file: Path, package: str, source: str) -> Candidate:
    try:
        name = parse_wheel_name(file.name)
        if name.build.scheme in ("plain", "other") or "to" in name.build.architectures:
            return from_contents(inspect_wheel(file), source, file)
        return from_name(name, source, url=str(file), status="present")
    except MambaopsError as error:
        return unusable(file.name, package, source, str(file), "present", error.message)


def _parsed(file: str) -> WheelName | None:
    try:
        return parse_wheel_name(file)
    except MambaopsError:
        return None


def _with_key(c: Candidate, entry: Entry, key: BuildKey) -> Candidate:
    """What the store's key tells is known better than what the name does."""
    known = replace(
        c,
        torch=minor_of(key.torch),
        built_with=key.torch,
        cuda=key.cuda,
        cxx11_abi=key.cxx11_abi,
        sha256=entry.sha256,
        size=entry.size,
    )
    if not key.architectures:
        return known
    cubins, ptx = split_architectures(key.architectures)
    return replace(known, cubins=cubins, ptx=ptx)
