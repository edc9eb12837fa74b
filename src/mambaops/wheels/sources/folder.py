"""Candidates from folders: the store, and whatever a user names with `--find-links`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mambaops.core.errors import MambaopsError
from mambaops.facts.model import Facts
from mambaops.wheels.candidates import Candidate, from_name
from mambaops.wheels.inspect.elf import version_key
from mambaops.wheels.names import WheelName, parse_wheel_name

if TYPE_CHECKING:
    from mambaops.store.store import Entry
    from mambaops.wheels.inspect.contents import WheelContents


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
        from mambaops.store.store import Store

        store = Store(self._root)
        if not store.path.is_dir():
            return
        for entry in store.list():
            name = _parsed(entry.wheel)
            if name is None or name.package != package:
                continue
            file = store.path / entry.wheel
            if entry.key is None:
                yield _from_file(file, package, self.name)
            else:
                yield from_name(
                    name, self.name, url=str(file), status="present", **_from_key(entry, name)
                )


def from_contents(contents: WheelContents, source: str, file: Path) -> Candidate:
    """A candidate of which everything is known, because it was looked into."""
    from mambaops.wheels.candidates import REPAIRED_GLIBC
    from mambaops.wheels.repair.glibc import blocking

    assert contents.name is not None
    glibc = contents.highest("GLIBC")
    mendable = not any(blocking(extension, REPAIRED_GLIBC) for extension in contents.extensions)
    above = bool(glibc and version_key(glibc) > version_key(REPAIRED_GLIBC))
    fields: dict[str, object] = {
        "torch_spec": contents.era.specifier,
        "cuda": contents.cuda or contents.name.build.cuda,
        "cxx11_abi": contents.cxx11_abi,
        "glibc": glibc,
        "glibcxx": contents.highest("GLIBCXX"),
        "repairable": above and mendable,
        "built_on": "",
        "cubins": contents.cubins,
        "ptx": contents.ptx,
        "lie": contents.lies[0] if contents.lies else "",
    }
    return from_name(contents.name, source, url=str(file), status="present", **fields)


def _from_file(file: Path, package: str, source: str) -> Candidate:
    from mambaops.wheels.inspect.contents import inspect_wheel

    try:
        name = parse_wheel_name(file.name)
        if name.build.scheme in ("plain", "other") or "to" in name.build.architectures:
            return from_contents(inspect_wheel(file), source, file)
        return from_name(name, source, url=str(file), status="present")
    except MambaopsError as error:
        return Candidate(
            name=file.name,
            package=package,
            version="",
            source=source,
            url=str(file),
            status="present",
            system="any",
            machine="any",
            lie=error.message,
        )


def _parsed(file: str) -> WheelName | None:
    try:
        return parse_wheel_name(file)
    except MambaopsError:
        return None


def _from_key(entry: Entry, name: WheelName) -> dict[str, object]:
    key = entry.key
    assert key is not None
    bare = tuple(one.removesuffix("+PTX") for one in key.architectures)
    fields: dict[str, object] = {
        "torch": ".".join(key.torch.split("+")[0].split(".")[:2]),
        "built_with": key.torch,
        "cuda": key.cuda,
        "cxx11_abi": key.cxx11_abi,
        "sha256": entry.sha256,
        "size": entry.size,
    }
    if key.architectures:
        fields["cubins"] = bare
        fields["ptx"] = tuple(
            one.removesuffix("+PTX") for one in key.architectures if one.endswith("+PTX")
        )
    return fields
