"""Reading a compiled module: `inspect_extension` gives one `Extension`. Nothing is loaded or run."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mambaops.core.errors import MambaopsError
from mambaops.wheels.inspect.extension import Extension, VersionNeed
from mambaops.wheels.inspect.fatbin import SECTION, Fatbin, FatbinError, read_fatbins

MACHINES = {
    "EM_X86_64": "x86_64",
    "EM_AARCH64": "aarch64",
    "EM_386": "i686",
    "EM_PPC64": "ppc64le",
    "EM_ARM": "armv7l",
    "EM_RISCV": "riscv64",
}
ELF_MAGIC = b"\x7fELF"


class NotAnExtension(MambaopsError):
    """The file is no ELF shared object, or a broken one (exit 1)."""


def inspect_extension(path: Path) -> Extension:
    """Read a compiled module.

    Raises:
        NotAnExtension: not ELF, not a shared object, cut off, or device code that cannot be read.
    """
    from elftools.common.exceptions import ELFError
    from elftools.construct import ConstructError

    try:
        with path.open("rb") as file:
            if file.read(4) != ELF_MAGIC:
                raise NotAnExtension(f"`{path.name}` is not an ELF file (a Linux binary)")
            return _read(path, file)
    except (
        ELFError,
        ConstructError,
        struct.error,
        ValueError,
        KeyError,
        IndexError,
        OverflowError,
    ) as error:
        raise NotAnExtension(f"`{path.name}` is a broken ELF file: {error}") from error
    except OSError as error:
        raise NotAnExtension(f"`{path}` cannot be read: {error.strerror}") from error


def _read(path: Path, file: Any) -> Extension:
    from elftools.elf.elffile import ELFFile

    elf = ELFFile(file)
    if elf["e_type"] != "ET_DYN":
        raise NotAnExtension(f"`{path.name}` is {elf['e_type']}, not a shared object (ET_DYN)")
    _check_sizes(elf, path)
    dynamic = _dynamic(elf, path.name)
    needs, undefined, defined = _symbols(elf)
    machine = str(elf["e_machine"])
    return Extension(
        name=path.name,
        machine=MACHINES.get(machine, machine),
        needed=dynamic["DT_NEEDED"],
        runpath=dynamic["DT_RUNPATH"] or dynamic["DT_RPATH"],
        needs=needs,
        undefined=undefined,
        defined=defined,
        fatbins=_fatbins(elf, file, path.name),
    )


# entry sizes of a 64-bit file; another one makes a reader walk through nonsense for hours
_ENTRY_SIZES = {"SHT_DYNSYM": 24, "SHT_SYMTAB": 24, "SHT_GNU_versym": 2, "SHT_DYNAMIC": 16}
_MOST_SECTIONS = 10_000


def _check_sizes(elf: Any, path: Path) -> None:
    """Sizes and counts that a damaged file may claim are held against the file's own length."""
    length = path.stat().st_size
    if elf.elfclass != 64 or elf.num_sections() > _MOST_SECTIONS:
        raise NotAnExtension(
            f"`{path.name}` is a {elf.elfclass}-bit ELF file with {elf.num_sections()} sections; "
            "wheels of these packages hold 64-bit modules"
        )
    for section in elf.iter_sections():
        kind, size = section["sh_type"], section["sh_size"]
        if kind != "SHT_NOBITS" and section["sh_offset"] + size > length:
            raise NotAnExtension(f"`{path.name}` is cut off: `{section.name}` ends behind the file")
        if section["sh_entsize"] != _ENTRY_SIZES.get(kind, section["sh_entsize"]):
            raise NotAnExtension(f"`{path.name}` is a broken ELF file: entries of `{section.name}`")
        if kind == "SHT_GNU_verneed":
            _check_versions(section, path.name)


def _check_versions(section: Any, name: str) -> None:
    """No more entries, and no more versions in each, than the section has room for (16 bytes each)."""
    room, entry = section["sh_size"] // 16, 0
    data = section.data()
    broken = section["sh_info"] > room
    for _ in range(0 if broken else section["sh_info"]):
        _, count, _, _, following = struct.unpack_from("<HHIII", data, entry)
        broken = broken or count > room
        entry += following
    if broken:
        raise NotAnExtension(f"`{name}` is a broken ELF file: counts in `{section.name}`")


def _dynamic(elf: Any, name: str) -> Mapping[str, tuple[str, ...]]:
    from elftools.elf.dynamic import DynamicSection

    section = next((s for s in elf.iter_sections() if isinstance(s, DynamicSection)), None)
    if section is None:
        raise NotAnExtension(f"`{name}` has no dynamic section: the loader cannot load it")
    found: dict[str, list[str]] = {"DT_NEEDED": [], "DT_RUNPATH": [], "DT_RPATH": []}
    for tag in section.iter_tags():
        if tag.entry.d_tag == "DT_NEEDED":
            found["DT_NEEDED"].append(tag.needed)
        elif tag.entry.d_tag in ("DT_RUNPATH", "DT_RPATH"):
            text = tag.runpath if tag.entry.d_tag == "DT_RUNPATH" else tag.rpath
            found[tag.entry.d_tag] += [part for part in text.split(":") if part]
    return {key: tuple(value) for key, value in found.items()}


def _symbols(elf: Any) -> tuple[tuple[VersionNeed, ...], frozenset[str], frozenset[str]]:
    from elftools.elf.gnuversions import GNUVerNeedSection, GNUVerSymSection

    needs: dict[int, tuple[str, str, bool]] = {}
    bound: dict[int, list[str]] = {}
    indices: list[Any] = []
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for library, versions in section.iter_versions():
                for v in versions:
                    weak = bool(v["vna_flags"] & 0x2)
                    needs[v["vna_other"]] = (library.name, v.name, weak)
        elif isinstance(section, GNUVerSymSection):
            indices = [symbol["ndx"] for symbol in section.iter_symbols()]
    undefined, defined = set(), set()
    table = elf.get_section_by_name(".dynsym")
    for number, symbol in enumerate(table.iter_symbols() if table is not None else ()):
        if symbol["st_shndx"] != "SHN_UNDEF":
            defined.add(symbol.name)
            continue
        undefined.add(symbol.name)
        if number < len(indices) and isinstance(indices[number], int):
            bound.setdefault(indices[number] & 0x7FFF, []).append(symbol.name)
    found = sorted(
        VersionNeed(library, version, weak, tuple(sorted(bound.get(index, ()))))
        for index, (library, version, weak) in needs.items()
    )
    return tuple(found), frozenset(undefined - {""}), frozenset(defined - {""})


def _fatbins(elf: Any, file: Any, name: str) -> tuple[Fatbin, ...]:
    section = elf.get_section_by_name(SECTION)
    if section is None or section["sh_type"] == "SHT_NOBITS" or not section["sh_size"]:
        return ()
    start, size = int(section["sh_offset"]), int(section["sh_size"])
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if start + size > len(data):
            raise NotAnExtension(
                f"`{name}` is cut off: `{SECTION}` ends at byte {start + size} of {len(data)}"
            )
        try:
            return read_fatbins(data, start, start + size)
        except FatbinError as error:
            raise NotAnExtension(f"`{name}`: {error}") from error
