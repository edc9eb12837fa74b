"""Which of those that fit is best, as keys to sort by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from packaging.version import InvalidVersion, Version

from mambaops.wheels.machine import Machine
from mambaops.wheels.select.verdicts import AFTER_REPAIR, FITS, NEIGHBOUR, REFUSED, Verdict

_ORDER = {FITS: 0, AFTER_REPAIR: 1, NEIGHBOUR: 2, REFUSED: 3}
Rank: TypeAlias = tuple[Any, ...]


def rank_of(verdict: Verdict, weight: int, sources: Sequence[str], m: Machine) -> Rank:
    source = verdict.source
    place = sources.index(source) if source in sources else len(sources)
    other = verdict.candidate.needs != ""
    return (
        other,
        _ORDER[verdict.kind],
        source != "store",
        weight > 0,
        newest_first(verdict.version),
        place,
        _distance(verdict.candidate.cuda, m.cuda),
        weight,
        verdict.name,
    )


def _distance(cuda: str | None, torch: str | None) -> int:
    """0 for torch's own CUDA, 1 for one that names its major alone, 2 for another minor."""
    if cuda == torch:
        return 0
    return 1 if cuda and "." not in cuda else 2


def newest_first(version: str) -> Rank:
    """A sort key that puts newer versions first, e.g. 2.3.2.post1 before 2.3.2."""
    try:
        parsed = Version(version)
    except InvalidVersion:
        return (0,)
    release = (*parsed.release, 0, 0, 0)[:3]
    return (*(-part for part in release), -(parsed.post or 0), parsed.is_prerelease)
