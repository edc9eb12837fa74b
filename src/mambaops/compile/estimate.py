"""How long a build still takes: from what its finished files took against what they usually take."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import msgspec

from mambaops.compile.monitor import Unit
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


def remaining(
    builds: Sequence[Sequence[Unit]], elapsed: float, running: Mapping[str, float] | None = None
) -> float | None:
    """Seconds still to go, or None while nothing is known.

    The pace is real time against usual time of the files that are finished; before the first one the usual
    times stand for themselves, so the first estimate is that of the measuring machine.

    Args:
        running: file name -> seconds since its compiler was started.
    """
    units = [unit for build in builds for unit in build]
    if not units or not any(unit.object for unit in units):
        return None
    finished = [unit for unit in units if unit.seconds is not None]
    own = sum(unit.seconds or 0.0 for unit in finished)
    pace = own / sum(map(weight, finished)) if finished else 1.0
    since = running or {}
    left = [_left(unit, pace, since) for unit in units if unit.seconds is None]
    if not left:
        return 0.0
    parallel = max(1.0, len(since)) if since else 2.0
    return max(sum(left) / parallel, *left)


def _left(unit: Unit, pace: float, running: Mapping[str, float]) -> float:
    """Of one file; one that takes longer than usual is never promised for the next moment."""
    whole = weight(unit) * pace
    return max(whole - running.get(unit.name, 0.0), 0.05 * whole)
