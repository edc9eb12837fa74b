"""What a patched setup.py shall do: plain data, cheap to import, with an identity for keys and marks."""

from __future__ import annotations

import hashlib
import json

from msgspec import Struct, to_builtins


class PinnedDiff(Struct, frozen=True, kw_only=True):
    """A package's own diff of one file, applied to nothing but the contents with that digest."""

    id: str
    target: str
    sha256: str
    diff: str
    nvcc: str = ""

    @property
    def key(self) -> str:
        """Another one for another diff under the same id."""
        return f"{self.id}@{hashlib.sha256(self.diff.encode()).hexdigest()[:16]}"


class SetupOptions(Struct, frozen=True, kw_only=True):
    """What the patched file shall do.

    Attributes:
        archs: as `parse_archs` returns them; empty leaves upstream's own list.
        route: how the file takes them (see `knowledge.packages`): only `flags` needs a change of the file.
        ninja: compile with ninja (upstream's default); False compiles file by file.
        force_build: never download a prebuilt wheel, never skip the kernels.
        cxx_standard: the least C++ standard, e.g. 20; None leaves it.
        nvcc_threads: nvcc's `--threads`; None leaves upstream's 4.
        one_ptx: all architectures from one PTX; see `archs.nvcc_flags`.
        split: into how many files a very large one is divided; 0 leaves it whole (see `codemods.split`).
        large: those files, relative to the source folder.
        diffs: the package's own, beside those of the catalogue.
    """

    archs: tuple[str, ...] = ()
    route: str = "flags"
    ninja: bool = True
    force_build: bool = True
    cxx_standard: int | None = None
    nvcc_threads: int | None = None
    one_ptx: bool = False
    split: int = 0
    large: tuple[str, ...] = ()
    diffs: tuple[PinnedDiff, ...] = ()

    def digest(self) -> str:
        """The same for equal options: tells whether a tree is patched as wanted."""
        text = json.dumps(to_builtins(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def changes(self) -> tuple[str, ...]:
        """What changes the compiled result, for the build key (ninja and threads do not)."""
        standard = (f"cxx-standard={self.cxx_standard}",) if self.cxx_standard else ()
        ptx = ("one-ptx",) if self.one_ptx else ()
        first = "cuda-archs" if self.route == "flags" else "arch-list"
        return (first, *standard, *ptx, *(one.key for one in self.diffs))
