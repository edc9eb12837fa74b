"""Both packages together, of one generation."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from mambaops.facts.model import Facts
from mambaops.knowledge.packages import pairs
from mambaops.knowledge.releases import same_generation
from mambaops.wheels.candidates import Candidate
from mambaops.wheels.select.selection import NEWEST, Wanted, select
from mambaops.wheels.select.verdicts import Pair, Selection


def pair_versions(
    facts: Facts,
    candidates: Iterable[Candidate],
    wanted: Wanted = NEWEST,
    names: tuple[str, str] | None = None,
) -> Pair:
    """Choose both packages of a pair for one machine: the best of one generation.

    The wheel of the first decides, and the version that is wanted is its; where none fits, what stands in the
    way is the reason.

    Args:
        names: the package that leads and the other one; default: the pair that is known.
    """
    names = names or pairs()[0]
    offered = list(candidates)
    first = select(names[0], facts, offered, replace(wanted, partner=None))
    second = select(names[1], facts, offered, replace(wanted, partner=None, version=None))
    python = first.machine.interpreter
    for one in first.candidates:
        if not one.accepted:
            break
        for two in second.candidates:
            if two.accepted and same_generation(names[0], one.version, names[1], two.version):
                reason = f"{one.version} and {two.version} go together"
                return Pair(names=names, first=one, other=two, reason=reason, interpreter=python)
    reason = _no_pair(first, second)
    return Pair(names=names, first=None, other=None, reason=reason, interpreter=python)


def _no_pair(first: Selection, second: Selection) -> str:
    for selection in (first, second):
        if selection.chosen is None:
            why = selection.nearest[0].reason if selection.nearest else "there is no candidate"
            return f"no wheel of {selection.package} fits; the nearest: {why}"
    return (
        "wheels of both packages fit, but none of one generation: "
        f"{first.package} {first.chosen.version if first.chosen else ''} and {second.package} "
        f"{second.chosen.version if second.chosen else ''} are of different ones"
    )
