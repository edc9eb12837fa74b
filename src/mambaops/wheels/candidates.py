"""A build that might fit, from whatever source, with everything that is known about it beforehand.

A candidate is a claim: `status` says how good ("present" on disk, "listed" by an index, "planned" by a
workflow). What a name does not say is filled in from the knowledge tables, and None stays None: unknown.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from mambaops.facts.model import Facts
from mambaops.knowledge.releases import Release, release
from mambaops.knowledge.tables import version_key
from mambaops.knowledge.torch_builds import torch_row
from mambaops.knowledge.wheel_sources import wheel_sources
from mambaops.wheels.builds import Build
from mambaops.wheels.names import WheelName

# what the two packages' wheels ask of glibc beside `__libc_single_threaded`, and after a repair
REPAIRED_GLIBC = "2.14"


class Candidate(Struct, frozen=True, kw_only=True):
    """One build on offer.

    Attributes:
        name: file name, or what another installer calls it. source: see `wheel_sources.toml`.
        url: address or path, "" where there is none. status: "present", "listed" or "planned".
        system/machine/python: what it runs on; python as "3.10", None for any;
            free_threaded: for the build of that Python without the GIL.
        torch: minor it was built for, or NVIDIA's image where `ngc`; built_with: the whole version.
        cuda: major or whole version; nvcc: what compiled it.
        cxx11_abi: what the code really uses; named_abi: what the name says.
        glibc/glibcxx: symbol versions needed; repairable: the glibc need is the one known symbol.
        tag: release that holds it, which the version in its name may be older than. seen: of a planned one, what was
            seen of it: "its release", or the file itself on a date.
        cubins/ptx: GPU code inside. requires: its declared requirements; runs_with: those that an import
        really needs. impossible: why it cannot exist. unusable: why it cannot be used (damaged, yanked, not what
        its name says). needs: another installer that must be there; why: what else to know of it.
    """

    name: str
    package: str
    version: str
    source: str
    url: str = ""
    status: str = "planned"
    system: str = "Linux"
    machine: str = "x86_64"
    python: str | None = None
    free_threaded: bool = False
    torch: str | None = None
    built_with: str | None = None
    torch_spec: str | None = None
    ngc: bool = False
    cuda: str | None = None
    nvcc: str | None = None
    cxx11_abi: bool | None = None
    named_abi: bool | None = None
    glibc: str | None = None
    glibcxx: str | None = None
    repairable: bool = False
    built_on: str = ""
    cubins: tuple[str, ...] | None = None
    ptx: tuple[str, ...] = ()
    tag: str = ""
    seen: str = ""
    python_min: str | None = None
    torch_min: str | None = None
    requires: tuple[str, ...] = ()
    runs_with: tuple[str, ...] = ()
    impossible: str = ""
    unusable: str = ""
    needs: str = ""
    why: str = ""
    sha256: str | None = None
    size: int | None = None

    @property
    def cuda_major(self) -> str | None:
        return self.cuda.split(".")[0] if self.cuda else None


class Source(Protocol):
    """Whoever offers candidates. Reading may use the disk or the network; choosing never does."""

    @property
    def name(self) -> str: ...

    def candidates(self, package: str, facts: Facts) -> Iterable[Candidate]:
        """Everything on offer for a package; the facts only tell which lists are worth reading."""
        ...


@functools.cache
def known_release(package: str, version: str) -> Release | None:
    """`knowledge.packages.release`, remembered: thousands of candidates share a few dozen."""
    return release(package, version)


@functools.cache
def upstream_cubins(package: str, version: str, nvcc: str) -> tuple[str, ...] | None:
    """Machine code that upstream's own build makes with an nvcc; None for an unknown release."""
    row = known_release(package, version)
    return tuple(row.cubins(nvcc)) if row else None


def from_name(
    name: WheelName,
    source: str,
    *,
    url: str = "",
    status: str = "listed",
    sha256: str | None = None,
    size: int | None = None,
) -> Candidate:
    """A candidate with all that its file name says and the tables add.

    What is known better than from the name is put in by `replace`.
    """
    build = name.build
    row = known_release(name.package, name.version)
    named = Candidate(
        name=str(name),
        package=name.package,
        version=name.version,
        source=source,
        url=url,
        status=status,
        sha256=sha256,
        size=size,
        system=name.system,
        machine=name.machine,
        python=python_of(name.python),
        free_threaded=name.free_threaded,
        torch=build.torch,
        ngc=build.scheme == "ngc",
        cuda=build.cuda,
        named_abi=build.cxx11_abi,
        cxx11_abi=build.cxx11_abi,
        glibc=REPAIRED_GLIBC if build.repaired else name.glibc,
    )
    return _with_build(_with_release(named, row), name, row)


def unusable(name: str, package: str, source: str, url: str, status: str, why: str) -> Candidate:
    """A file that is no usable wheel, kept as a candidate so that the reason is said."""
    return Candidate(
        name=name,
        package=package,
        version="",
        source=source,
        url=url,
        status=status,
        system="any",
        machine="any",
        unusable=why,
    )


def python_of(tag: str) -> str | None:
    """ "3.10" of "cp310"; None for "py3" (any)."""
    return f"{tag[2]}.{tag[3:]}" if tag.startswith("cp") and len(tag) > 3 else None


def abi_of_torch(torch: str | None, cuda: str | None) -> bool | None:
    """The C++11 ABI of the torch release with that CUDA, None where not one answer is known."""
    row = torch_row(torch) if torch else None
    if row is None:
        return None
    builds = row.cxx11_abi
    if cuda in builds:
        return builds[cuda]
    fitting = {abi for version, abi in builds.items() if version.split(".")[0] == cuda}
    fitting = fitting or set(builds.values())
    return fitting.pop() if len(fitting) == 1 else None


def _with_release(c: Candidate, row: Release | None) -> Candidate:
    if row is None:
        return c
    return replace(
        c,
        python_min=row.python_min,
        torch_min=row.torch_min,
        requires=tuple(row.needs),
        runs_with=tuple(row.runs_with),
    )


def _with_build(c: Candidate, name: WheelName, row: Release | None) -> Candidate:
    """What the scheme of the name tells beyond its words."""
    build = name.build
    if build.scheme in ("upstream", "ngc") and row is not None and row.glibc:
        return _built_on(c, row, repaired=build.repaired is not None)
    if build.scheme == "astral" and row is not None and build.cuda:
        return replace(
            c,
            cubins=upstream_cubins(name.package, name.version, build.cuda),
            nvcc=build.cuda,
            cxx11_abi=abi_of_torch(build.torch, build.cuda),
        )
    if build.scheme == "own":
        return _own(c, build)
    return c


def _own(c: Candidate, build: Build) -> Candidate:
    known = replace(c, cxx11_abi=abi_of_torch(build.torch, build.cuda))
    if not build.architectures or "to" in build.architectures:
        return known  # a range names its ends only
    cubins, ptx = split_architectures(build.architectures)
    return replace(known, cubins=cubins, ptx=ptx)


def split_architectures(names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(machine code, PTX) of names such as "9.0" and "12.0+PTX", which means both."""
    every = tuple(names)
    ptx = tuple(one.removesuffix("+PTX") for one in every if one.endswith("+PTX"))
    return tuple(one.removesuffix("+PTX") for one in every), ptx


def _built_on(c: Candidate, row: Release, *, repaired: bool) -> Candidate:
    needs_repair = not repaired and version_key(row.glibc) > version_key(REPAIRED_GLIBC)
    return replace(
        c,
        glibc=REPAIRED_GLIBC if repaired else row.glibc,
        glibcxx=_measured().get(row.built_on) or row.glibcxx or None,
        built_on=row.built_on,
        repairable=needs_repair,
    )


@functools.cache
def _measured() -> dict[str, str]:
    return {row.built_on: row.glibcxx for row in wheel_sources().measured}
