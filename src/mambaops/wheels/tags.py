"""The tags that another interpreter takes, worked out here: it may be on a machine that is far away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from packaging.tags import Tag, compatible_tags, cpython_tags

# PEP 600: the older names of three glibc floors; and how far down each CPU's tags go
LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
LOWEST_MINOR = {"x86_64": 5, "i686": 5}
LOWEST_MINOR_ELSEWHERE = 17


def target_tags(*, python: str, machine: str, glibc: str | None, abi: str = "") -> list[Tag]:
    """Tags of a CPython on Linux, best first.

    Args:
        python: "3.11" or "3.11.7". machine: "x86_64". glibc: "2.31"; None or "": no manylinux wheel fits.
        abi: "cp311", "cp313t"; empty: the usual one of that Python.
    """
    major, minor = (int(part) for part in python.split(".")[:2])
    platforms = list(linux_platforms(machine, glibc))
    interpreter = f"cp{major}{minor}"
    abis = [abi or interpreter]
    return [
        *cpython_tags((major, minor), abis, platforms),
        *compatible_tags((major, minor), interpreter, platforms),
    ]


def linux_platforms(machine: str, glibc: str | None) -> Iterator[str]:
    """Platform tags: the plain `linux_`, then newest glibc first (the order of `packaging.tags`)."""
    yield f"linux_{machine}"
    if glibc:
        major, minor = (int(part) for part in glibc.split(".")[:2])
        lowest = LOWEST_MINOR.get(machine, LOWEST_MINOR_ELSEWHERE)
        for floor in range(minor, lowest - 1, -1) if major == 2 else ():
            yield f"manylinux_2_{floor}_{machine}"
            if floor in LEGACY and (floor == 17 or machine in LOWEST_MINOR):
                yield f"{LEGACY[floor]}_{machine}"


def glibc_floor(tags: Iterable[Tag]) -> str | None:
    """The lowest glibc that a wheel's tags promise to do with; None where they promise nothing."""
    legacy = {name: minor for minor, name in LEGACY.items()}
    minors = []
    for tag in tags:
        # e.g. "manylinux_2_28_x86_64", "manylinux2014_x86_64"
        if match := re.match(r"manylinux_2_(\d+)_", tag.platform):
            minors.append(int(match[1]))
        elif (name := tag.platform.partition("_")[0]) in legacy:
            minors.append(legacy[name])
    return f"2.{min(minors)}" if minors else None
