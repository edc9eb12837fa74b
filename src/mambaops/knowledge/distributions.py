"""What a Linux distribution brings: glibc, gcc and the C++ library's symbol versions."""

from __future__ import annotations

import functools

import msgspec

from mambaops.knowledge.tables import read


class DistributionRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str  # os-release's ID
    version: str  # VERSION_ID; the major number alone for the RHEL family
    like: list[str]  # other ids that are the same inside
    glibc: str
    gcc: str
    glibcxx: str  # highest GLIBCXX_ of its libstdc++6
    source: str


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    distribution: list[DistributionRow]


@functools.cache
def distributions() -> tuple[DistributionRow, ...]:
    """Every distribution that we know."""
    return tuple(read("distributions", _Table).distribution)


def distribution(id: str, version: str) -> DistributionRow | None:
    """E.g. ("debian", "10") or ("rocky", "8.10"); None when we do not know it."""
    for row in distributions():
        if (id == row.id or id in row.like) and _is_version(version, row.version):
            return row
    return None


def _is_version(version: str, known: str) -> bool:
    return version == known or version.startswith(f"{known}.")
