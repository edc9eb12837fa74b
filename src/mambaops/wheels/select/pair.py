"""Both packages together, of one generation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mambaops.facts.model import Facts
from mambaops.knowledge.releases import same_generation
from mambaops.wheels.candidates import Candidate
from mambaops.wheels.select.selection import NEWEST, Wanted, select
from mambaops.wheels.select.verdicts import Pair, Selection


def pair_versions(
    facts: Facts,
    candidates: Iterable[Candidate],
    wanted: Wanted = NEWEST,
) -> Pair:
    """Choose both packages for one machine: the best pair of one generation.

    The wheel of mamba-ssm decides, and the version that is wanted is its; where none fits, what stands in the
    way is the reason.
    """
    offered = list(candidates)
    first = select("mamba-ssm", facts, offered, replace(wanted, partner=None))
    second = select("causal-conv1d", facts, offered, replace(wanted, partner=None, version=None))
    for m in first.candidates:
        if not m.accepted:
            break
        for c in second.candidates:
            if c.accepted and same_generation(m.version, c.version):
                return Pair(mamba=m, conv=c, reason=f"{m.version} and {c.version} go together")
    return Pair(mamba=None, conv=None, reason=_no_pair(first, second))


def _no_pair(first: Selection, second: Selection) -> str:
    for selection in (first, second):
        if selection.chosen is None:
            why = selection.nearest[0].reason if selection.nearest else "there is no candidate"
            return f"no wheel of {selection.package} fits; the nearest: {why}"
    return (
        "wheels of both packages fit, but none of one generation: "
        f"mamba-ssm {first.chosen.version if first.chosen else ''} and causal-conv1d "
        f"{second.chosen.version if second.chosen else ''} are of different ones"
    )
