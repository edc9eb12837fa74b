"""How long a build still takes: from what its finished files took against what they usually take."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import msgspec

from mambaops.compile.monitor import Unit
from mambaops.knowledge.tables import read
from mambaops.patching.codemods.split import part_count, whole_name

# of the time that a file has run already; what has been late for ten minutes is not done in the next one
LATE = 0.25


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

    The pace is real time against usual time of the files that are finished, and of those that run longer than
    they should by then: the machine may have become busy. Before the first of either the usual times stand for
    themselves, so the first estimate is that of the measuring machine.

    Args:
        running: file name -> seconds since its compiler was started.
    """
    units = [unit for build in builds for unit in build]
    if not units or not any(unit.object for unit in units):
        return None
    since = running or {}
    pace = _pace(units, since)
    left = [_left(unit, pace, since) for unit in units if unit.seconds is None]
    if not left:
        return 0.0
    parallel = max(1.0, len(since)) if since else 2.0
    return max(sum(left) / parallel, *left)


def _pace(units: Sequence[Unit], running: Mapping[str, float]) -> float:
    """Real seconds for one usual second: never less than what the files so far have shown."""
    finished = [(unit.seconds, weight(unit)) for unit in units if unit.seconds is not None]
    pace = _ratio(finished) or 1.0
    late = [
        (running[unit.name], weight(unit))
        for unit in units
        if unit.seconds is None and running.get(unit.name, 0.0) > weight(unit) * pace
    ]
    return max(pace, _ratio(finished + late) or pace)


def _ratio(pairs: Sequence[tuple[float, float]]) -> float | None:
    usually = sum(expected for _, expected in pairs)
    return sum(real for real, _ in pairs) / usually if usually else None


def _left(unit: Unit, pace: float, running: Mapping[str, float]) -> float:
    """Of one file; the longer one has overrun, the longer it will still take."""
    since = running.get(unit.name, 0.0)
    return max(weight(unit) * pace - since, LATE * since)
