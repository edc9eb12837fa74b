"""The manifest of a wheel: from what, how and where it was built, and what came out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from mambaops.wheels.inspect.extension import Extension
from mambaops.wheels.keys import BuildKey


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A compiler: where it lies and what it calls itself."""

    path: str
    version: str | None


class Module(msgspec.Struct, frozen=True, kw_only=True):
    """What one compiled module holds, and what it asks of a system."""

    cubins: list[str]
    ptx: list[str]
    glibc: str | None
    glibcxx: str | None
    cxxabi: str | None
    needed: list[str]
    machine: str

    @classmethod
    def of(cls, found: Extension) -> Module:
        return cls(
            cubins=list(found.cubins),
            ptx=list(found.ptx),
            glibc=found.glibc,
            glibcxx=found.glibcxx,
            cxxabi=found.cxxabi,
            needed=list(found.needed),
            machine=found.machine,
        )


class BuildHost(msgspec.Struct, frozen=True, kw_only=True):
    """The machine that compiled."""

    distribution: str | None
    glibc: str | None
    cores: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one build that its file name does not say; durations in seconds.

    Attributes:
        built: when, in UTC.
        patches: what was changed in the sources, and `diff` the change itself.
        flags: nvcc's, as ninja was told.
        jobs: compilers at once.
        began_per_file: seconds after the build's last beginning.
    """

    mambaops: str
    built: str
    package: str
    version: str
    wheel: str
    key: BuildKey
    source_sha256: str
    patches: list[str]
    diff: str
    torch: str | None
    python: str | None
    nvcc: Tool
    compiler: Tool
    architectures: list[str]
    jobs: int
    seconds: float
    seconds_per_file: dict[str, float]
    flags: list[str]
    host: BuildHost
    extensions: dict[str, Module]
    began_per_file: dict[str, float] = {}


def modules(found: Mapping[str, Extension]) -> dict[str, Module]:
    """Every compiled module of a wheel, by name."""
    return {name: Module.of(one) for name, one in found.items()}


def source_diff(tree: Path) -> str:
    """What was changed in an unpacked source, as a unified diff."""
    from mambaops.patching.pristine import Pristine, unified_diff

    kept = Pristine(tree)
    return "".join(
        unified_diff(
            name,
            kept.original(name).decode("utf-8", "replace"),
            (tree / name).read_text(encoding="utf-8", errors="replace"),
        )
        for name in kept.records()
    )


def compiler_flags(tree: Path) -> list[str]:
    """nvcc's flags as ninja was told, without the paths of this machine."""
    for file in sorted(tree.glob("build/temp*/**/build.ninja")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            # e.g. "cuda_post_cflags = -D__CUDA_NO_HALF_OPERATORS__ … -gencode arch=…"
            if line.startswith("cuda_post_cflags ="):
                return line.split("=", 1)[1].split()
    return []
