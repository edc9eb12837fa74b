"""Which of those that fit is best, as keys to sort by."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from packaging.version import InvalidVersion, Version

from mambaops.wheels.machine import Machine
from mambaops.wheels.select.verdicts import AFTER_REPAIR, FITS, NEIGHBOUR, Verdict

_KINDS = (FITS, AFTER_REPAIR, NEIGHBOUR)  # the best first
_OLDEST = Version("0.dev0")
Rank: TypeAlias = tuple[Any, ...]


def rank_of(verdict: Verdict, weight: int, sources: Sequence[str], m: Machine) -> Rank:
    source = verdict.source
    place = sources.index(source) if source in sources else len(sources)
    return (
        bool(verdict.candidate.needs),
        _KINDS.index(verdict.kind),
        # a file at hand can be looked into; the store's own come first among them
        verdict.candidate.status != "present" and source != "store",
        weight,
        newest_first(verdict.version),
        place,
        _distance(verdict.candidate.cuda, m.cuda),
        verdict.name,
    )


def _distance(cuda: str | None, torch: str | None) -> int:
    """0 for torch's own CUDA, 1 for one that names its major alone, 2 for another minor."""
    if cuda == torch:
        return 0
    return 1 if cuda and "." not in cuda else 2


@functools.total_ordering
@dataclass(frozen=True, slots=True)
class NewestFirst:
    """Sorts newer versions first; what is no version comes last."""

    version: Version

    def __lt__(self, other: NewestFirst) -> bool:
        return self.version > other.version


def newest_first(version: str | None) -> NewestFirst:
    """A version as a key to sort by."""
    try:
        return NewestFirst(Version(version or ""))
    except InvalidVersion:
        return NewestFirst(_OLDEST)
