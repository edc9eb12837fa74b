"""The nearest misses: what would have to change for a refused candidate to fit."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from mambaops.wheels.machine import Machine
from mambaops.wheels.select.ranking import Rank, newest_first
from mambaops.wheels.select.rules import NEVER, all_refusals, cost_of
from mambaops.wheels.select.verdicts import Verdict

NEAREST = 5


def nearest_misses(refused: Sequence[Verdict], machine: Machine) -> tuple[Verdict, ...]:
    """The refused ones for which the least would have to change, one per set of changes."""
    # Hugging Face's kernels give another thing, whatever would change
    wheels = [verdict for verdict in refused if verdict.source != "hf-kernels"]
    misses: dict[tuple[str, ...], tuple[Rank, Verdict]] = {}
    for number, verdict in enumerate(wheels):
        c = verdict.candidate
        worst = max(rank[0] for rank, _ in misses.values()) if len(misses) >= NEAREST else NEVER - 1
        cost = cost_of(c, machine, worst) or 1  # a neighbour breaks no rule
        if cost > worst:
            continue
        found = all_refusals(c, machine)
        change = _shortest(tuple(rule.change(c, machine) for rule, _ in found))
        rank = (cost, newest_first(verdict.version), newest_first(c.torch), number)
        if change not in misses or rank < misses[change][0]:
            reasons = tuple(reason for _, reason in found) or (verdict.reason,)
            misses[change] = (rank, replace(verdict, change=change, reason="; ".join(reasons)))
            for extra in sorted(misses, key=lambda key: misses[key][0])[NEAREST:]:
                del misses[extra]
    return tuple(verdict for _, verdict in sorted(misses.values(), key=lambda row: row[0]))


def _shortest(changes: tuple[str, ...]) -> tuple[str, ...]:
    """Without those that another one says already ("torch 2.11" beside "torch 2.11 for CUDA 12")."""
    kept = [one for one in changes if not any(other.startswith(f"{one} ") for other in changes)]
    return tuple(dict.fromkeys(kept)) or ("--allow-neighbour",)
