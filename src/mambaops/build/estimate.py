"""How long a build still takes: from what its finished files took against what they usually take."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import msgspec

from mambaops.build.watch import Unit
from mambaops.knowledge.tables import read
from mambaops.patching.codemods.split import part_count, whole_name


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seconds: dict[str, float]


@functools.cache
def usual() -> dict[str, float]:
    """File name -> seconds on one core for one architecture; measured, see the table."""
    return read("build_times", _Table).seconds


def weight(unit: Unit) -> float:
    """The usual seconds of a file; a middling one for a file that we do not know."""
    table = usual()
    whole = table.get(whole_name(unit.name), sum(table.values()) / len(table))
    return whole / part_count(unit.name)


def remaining(builds: Sequence[Sequence[Unit]], elapsed: float) -> float | None:
    """Seconds still to go, or None while nothing is known.

    The pace is wall time against usual time of what has been finished; before the first file is done
    the usual times stand for themselves, so the first estimate is that of the measuring machine.
    """
    units = [unit for build in builds for unit in build]
    if not units or not any(unit.object for unit in units):
        return None
    total = sum(map(weight, units))
    finished = sum(weight(unit) for unit in units if unit.seconds is not None)
    longest = max((weight(unit) for unit in units if unit.seconds is None), default=0.0)
    own = sum(unit.seconds or 0.0 for unit in units)
    pace = own / finished if finished else 1.0
    parallel = max(1.0, own / elapsed) if finished and elapsed > 30 else 2.0
    return max((total - finished) * pace / parallel, longest * pace - elapsed, 0.0)
