"""Releases of the packages that are published as wheels: which pair, what they need, what their builds hold."""

from __future__ import annotations

import functools

import msgspec
from packaging.version import InvalidVersion, Version

from mambaops.core.names import normal
from mambaops.knowledge.tables import minor_of, read, version_key


class ArchRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Architectures that upstream's setup.py adds when nvcc's version lies in the bounds."""

    archs: list[str]
    nvcc_min: str = ""
    nvcc_below: str = ""

    def holds(self, nvcc: str) -> bool:
        version = version_key(minor_of(nvcc))
        return (not self.nvcc_min or version >= version_key(self.nvcc_min)) and (
            not self.nvcc_below or version < version_key(self.nvcc_below)
        )


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    package: str
    version: str
    date: str
    generation: str
    on_index: bool
    sdist_has_sources: bool
    python_min: str
    python_declared: str
    torch_min: str
    rule: str
    needs: list[str]
    runs_with: list[str]
    wheels_built_on: str
    wheels_glibc: str
    wheels_glibcxx: str
    source: str


class Release(msgspec.Struct, frozen=True, kw_only=True):
    package: str
    version: str
    date: str  # of the tag, "" when it was not read
    generation: str  # "A" to "D": only one letter works together
    on_index: bool  # the package index holds its sdist
    sdist_has_sources: bool  # and that sdist holds the CUDA sources
    python_min: str  # lowest Python that can import it
    python_declared: str  # what its metadata says
    torch_min: str
    arch_rules: list[ArchRule]
    needs: list[str]  # requirements that its metadata declares
    runs_with: list[str]  # what an import needs beside torch and triton, bounds included
    built_on: str  # system that the prebuilt wheels were made on, "Ubuntu 20.04"; "" for none
    glibc: str  # what those wheels ask of the system, "2.32"
    glibcxx: str
    source: str

    def cubins(self, nvcc: str) -> list[str]:
        """Machine code that upstream's own build makes with that nvcc, ascending; PTX it never adds."""
        found = [arch for rule in self.arch_rules if rule.holds(nvcc) for arch in rule.archs]
        return sorted(found, key=version_key)


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    release: list[_Row]
    rules: dict[str, list[ArchRule]]


@functools.cache
def _all() -> tuple[Release, ...]:
    table = read("releases", _Table)
    return tuple(_release(row, table.rules[row.rule]) for row in table.release)


def _release(row: _Row, rules: list[ArchRule]) -> Release:
    return Release(
        package=row.package,
        version=row.version,
        date=row.date,
        generation=row.generation,
        on_index=row.on_index,
        sdist_has_sources=row.sdist_has_sources,
        python_min=row.python_min,
        python_declared=row.python_declared,
        torch_min=row.torch_min,
        arch_rules=rules,
        needs=row.needs,
        runs_with=row.runs_with,
        built_on=row.wheels_built_on,
        glibc=row.wheels_glibc,
        glibcxx=row.wheels_glibcxx,
        source=row.source,
    )


@functools.cache
def releases(package: str) -> tuple[Release, ...]:
    """Every release of a package (any spelling) that is known, oldest first."""
    name = normal(package)
    return tuple(row for row in _all() if row.package == name)


def release(package: str, version: str) -> Release | None:
    """One release; a local part ("1.5.4+cu128torch2.8") is ignored; None when we do not know it."""
    wanted = _public(version)
    if wanted is None:
        return None
    return next((row for row in releases(package) if Version(row.version) == wanted), None)


def generation(package: str, version: str) -> str | None:
    """The letter of a release; of an unknown one that of the release just before it.

    None for a version that is no version, or older than all.
    """
    wanted = _public(version)
    if wanted is None:
        return None
    older = [row for row in releases(package) if Version(row.version) <= wanted]
    return older[-1].generation if older else None


def same_generation(first: str, first_version: str, other: str, other_version: str) -> bool:
    """Whether two packages of a pair call each other with the arguments that the other takes."""
    letter = generation(first, first_version)
    return letter is not None and letter == generation(other, other_version)


def _public(version: str) -> Version | None:
    try:
        return Version(Version(version).public)
    except InvalidVersion:
        return None
