"""What a wheel, or an installed package, really holds: read from its files, nothing is loaded or run.

A wheel that is no wheel, cut off, a bomb, or climbs out of its folder is refused (`wheels.archive`). One
whose name says something else than its inside is read, and each contradiction kept: such a wheel fits
nowhere. Whether the rest fits a machine is `wheels.inspect.compatibility`.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from mambaops.core.errors import MambaopsError
from mambaops.core.files import regular
from mambaops.wheels.archive import check_members, check_record, what_else
from mambaops.wheels.inspect.abi import TorchEra, cxx11_abi, torch_era
from mambaops.wheels.inspect.contradictions import Inside, find_contradictions, find_oddities
from mambaops.wheels.inspect.elf import ELF_MAGIC, inspect_extension
from mambaops.wheels.inspect.extension import Extension, version_key
from mambaops.wheels.inspect.fatbin import architecture_key
from mambaops.wheels.inspect.pack import Pack, read_pack
from mambaops.wheels.metadata import Metadata, read_metadata
from mambaops.wheels.names import WheelName, parse_wheel_name

ELF_HEAD = 18  # up to and with the type of the file


class WheelContents(Struct, frozen=True, kw_only=True):
    """A wheel or an installed package, looked into.

    Attributes:
        file: name of the file, or of the installed package. name: its parsed file name, None when installed.
        package/version: as METADATA says. requires: its Requires-Dist lines.
        extensions: the compiled modules. era: the torch that their symbols belong to.
        cxx11_abi: what they use towards torch. contradictions: where name and inside disagree.
        pack: kernels of `mambaops-kernels`, compiled beforehand. notes: what is odd and harmless. manylinux: lowest policy whose symbol versions suffice.
    """

    file: str
    name: WheelName | None
    package: str
    version: str
    requires: tuple[str, ...] = ()
    extensions: tuple[Extension, ...] = ()
    era: TorchEra
    cxx11_abi: bool | None = None
    manylinux: str | None = None
    contradictions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    pack: Pack | None = None

    @property
    def cubins(self) -> tuple[str, ...]:
        packed = [self.pack.cubins] if self.pack else []
        return _union([*packed, *(extension.cubins for extension in self.extensions)])

    @property
    def ptx(self) -> tuple[str, ...]:
        packed = [self.pack.ptx] if self.pack else []
        return _union([*packed, *(extension.ptx for extension in self.extensions)])

    @property
    def needed(self) -> tuple[str, ...]:
        """All NEEDED libraries, each once, without those that lie inside."""
        inside = {extension.name for extension in self.extensions}
        found = {library: None for e in self.extensions for library in e.needed}
        return tuple(library for library in found if library not in inside)

    @property
    def machines(self) -> tuple[str, ...]:
        return tuple(sorted({extension.machine for extension in self.extensions}))

    @property
    def cuda(self) -> str | None:
        """Major version of the CUDA runtime that it links to."""
        return next((e.cudart for e in self.extensions if e.cudart), None)

    def highest(self, family: str) -> str | None:
        """Highest needed version of "GLIBC", "GLIBCXX" or "CXXABI", e.g. "2.32"."""
        found = [version for e in self.extensions if (version := e.highest(family))]
        return max(found, key=version_key, default=None)

    def as_json(self) -> dict[str, object]:
        """The shape that `inspect-wheel --json` prints (`fits` comes to it where a machine is given)."""
        return {
            "file": self.file,
            "package": self.package,
            "version": self.version,
            "machine": list(self.machines),
            "python": self.name.python if self.name else None,
            "cubins": list(self.cubins),
            "ptx": list(self.ptx),
            "glibc": self.highest("GLIBC"),
            "glibcxx": self.highest("GLIBCXX"),
            "cxxabi": self.highest("CXXABI"),
            "needed": list(self.needed),
            "cuda": self.cuda,
            "cxx11_abi": self.cxx11_abi,
            "torch": self.era.specifier,
            "torch_evidence": list(self.era.evidence),
            "manylinux": self.manylinux,
            "requires": list(self.requires),
            "extensions": [_extension_json(extension) for extension in self.extensions],
            "contradictions": list(self.contradictions),
            "notes": list(self.notes),
            "kernels": msgspec.to_builtins(self.pack),
        }


def inspect_wheel(path: Path) -> WheelContents:
    """Look into a wheel.

    Raises:
        MambaopsError: not there, not a wheel, cut off, a bomb, a member that climbs out, RECORD and members
            disagree, or a compiled module that cannot be read.
        BadWheelName: the file's name is none of a wheel.
    """
    name = parse_wheel_name(path.name)
    try:
        with zipfile.ZipFile(regular(path)) as archive:
            members = check_members(path, archive)
            check_record(path, archive, members)
            said = read_metadata(path, archive)
            extensions = _read_extensions(archive, members.values())
            pack = read_pack(archive, members)
    except zipfile.BadZipFile as error:
        raise MambaopsError(
            f"`{path.name}` is not a whole zip archive ({error}): no wheel",
            hint=what_else(path),
        ) from error
    except OSError as error:
        raise MambaopsError(f"`{path}` cannot be read: {error.strerror or error}") from error
    return replace(describe(path.name, name, said, extensions), pack=pack)


def describe(
    file: str,
    name: WheelName | None,
    metadata: Metadata,
    extensions: tuple[Extension, ...],
) -> WheelContents:
    """Contents from what was read: METADATA, compiled modules and, for a wheel, its name and tags."""
    undefined = {symbol for extension in extensions for symbol in extension.undefined}
    era, abi = torch_era(undefined), cxx11_abi(undefined)
    package, version = metadata.name.replace("_", "-").lower(), metadata.version
    said = Inside(
        name=name,
        package=package,
        version=version,
        extensions=extensions,
        era=era,
        abi=abi,
        tags=metadata.tags,
    )
    return WheelContents(
        file=file,
        name=name,
        package=package,
        version=version,
        requires=metadata.requires,
        extensions=extensions,
        era=era,
        cxx11_abi=abi,
        manylinux=_manylinux(extensions),
        contradictions=tuple(find_contradictions(said)),
        notes=tuple(find_oddities(said)),
    )


def _read_extensions(
    archive: zipfile.ZipFile, members: Iterable[zipfile.ZipInfo]
) -> tuple[Extension, ...]:
    found = []
    with tempfile.TemporaryDirectory(prefix="mambaops-inspect-") as folder:
        for info in members:
            with archive.open(info) as source:
                head = source.read(ELF_HEAD)
                if not _is_module(info.filename, head):
                    continue
                # one at a time: a module may be a gigabyte
                aside = Path(folder) / info.filename.rsplit("/", 1)[-1]
                with aside.open("wb") as target:
                    target.write(head)
                    shutil.copyfileobj(source, target, 1024**2)
            found.append(inspect_extension(aside))
            aside.unlink()
    return tuple(found)


def _is_module(name: str, head: bytes) -> bool:
    """Something that is loaded: programs and object files (torch brings some) are not."""
    if not head.startswith(ELF_MAGIC):
        return False
    # byte 5 is the byte order, 16 and 17 the type: 3 is a shared object
    order: Literal["big", "little"] = "big" if head[5:6] == b"\2" else "little"
    return int.from_bytes(head[16:18], order) == 3 or ".so" in name.rsplit("/", 1)[-1]


def _manylinux(extensions: tuple[Extension, ...]) -> str | None:
    """The oldest manylinux policy whose symbol versions cover all needs, by auditwheel's tables.

    Libraries are not judged: torch's and CUDA's come from other packages by design.
    """
    if not extensions:
        return None
    from auditwheel.architecture import Architecture
    from auditwheel.libc import Libc
    from auditwheel.policy import WheelPolicies

    try:
        architecture = Architecture(extensions[0].machine)
    except ValueError:
        return None
    needs: dict[str, set[str]] = {}
    for extension in extensions:
        for need in extension.needs:
            if not need.weak:
                needs.setdefault(need.library, set()).add(need.version)
    policies = WheelPolicies(libc=Libc.GLIBC, arch=architecture)
    return str(policies.versioned_symbols_policy(needs).name)


def _union(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({one for group in groups for one in group}, key=architecture_key))


def _extension_json(extension: Extension) -> dict[str, object]:
    return {
        "name": extension.name,
        "machine": extension.machine,
        "cubins": list(extension.cubins),
        "ptx": list(extension.ptx),
        "glibc": extension.glibc,
        "glibcxx": extension.glibcxx,
        "cxxabi": extension.cxxabi,
        "needed": list(extension.needed),
        "runpath": list(extension.runpath),
    }
