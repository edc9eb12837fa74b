"""What a compiled module asks of a system, and the GPU code inside it: the record that is read from the file.

Symbol versions needed (`GLIBC_2.32`, `GLIBCXX_3.4.29`, `CXXABI_1.3.13`), undefined symbols (which torch they
belong to: `wheels.inspect.abi`), device code (`wheels.inspect.fatbin`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mambaops.wheels.inspect.fatbin import Fatbin, architectures


@dataclass(frozen=True, slots=True, order=True)
class VersionNeed:
    """A symbol version that the loader looks for, e.g. `GLIBC_2.32` in `libc.so.6`.

    `weak` needs do not stop the loader; `symbols` are the undefined symbols bound to it.
    """

    library: str
    version: str
    weak: bool = False
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """One ELF shared object.

    Attributes:
        name: file name. `machine`: as `uname -m` writes it.
        needed: NEEDED libraries in order; `runpath`: RPATH/RUNPATH entries.
        needs: symbol versions asked for; `undefined`/`defined`: dynamic symbols (mangled).
        fatbins: the device code, one per compiled file.
    """

    name: str
    machine: str
    needed: tuple[str, ...]
    runpath: tuple[str, ...]
    needs: tuple[VersionNeed, ...]
    undefined: frozenset[str]
    defined: frozenset[str]
    fatbins: tuple[Fatbin, ...]

    @property
    def glibc(self) -> str | None:
        """Highest GLIBC version that the loader insists on, e.g. "2.32"."""
        return self.highest("GLIBC")

    @property
    def glibcxx(self) -> str | None:
        return self.highest("GLIBCXX")

    @property
    def cxxabi(self) -> str | None:
        return self.highest("CXXABI")

    def highest(self, prefix: str) -> str | None:
        """The highest version of a family that is needed and not weak, or None."""
        found = [v for n in self.needs if not n.weak and (v := numbered(n.version, prefix))]
        return max(found, key=version_key, default=None)

    def above(self, prefix: str, floor: str) -> tuple[VersionNeed, ...]:
        """The needs of a family above `floor`, lowest first (weak ones left out)."""
        limit = version_key(floor)
        found = [
            (version_key(v), need)
            for need in self.needs
            if not need.weak and (v := numbered(need.version, prefix)) and version_key(v) > limit
        ]
        return tuple(need for _, need in sorted(found))

    @property
    def cubins(self) -> tuple[str, ...]:
        """Architectures with machine code: ("8.0", "9.0", "12.0a")."""
        return architectures(self.fatbins, "cubin")

    @property
    def ptx(self) -> tuple[str, ...]:
        return architectures(self.fatbins, "ptx")

    @property
    def cudart(self) -> str | None:
        """Major version of the CUDA runtime that it links to, "12", or None (static or no CUDA)."""
        for library in self.needed:
            # e.g. libcudart.so.11.0, libcudart.so.12
            if match := re.match(r"libcudart\.so\.(\d+)", library):
                return match[1]
        return None


def version_key(version: str) -> tuple[int, ...]:
    """Dotted numbers as a sort key: "2.4" < "2.32"."""
    return tuple(int(part) for part in version.split("."))


def numbered(symbol_version: str, prefix: str) -> str | None:
    """ "2.32" of "GLIBC_2.32"; None for another family and for names like GLIBC_PRIVATE."""
    match = re.fullmatch(rf"{prefix}_(\d+(?:\.\d+)*)", symbol_version)
    return match[1] if match else None
