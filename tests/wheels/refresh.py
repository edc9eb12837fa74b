"""Write the golden choices anew: `python -m tests.wheels.refresh`, then look at the difference with git."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from mambaops.facts.model import Facts
from mambaops.knowledge.packages import pairs
from mambaops.wheels.select.pair import pair_versions
from mambaops.wheels.select.selection import select
from mambaops.wheels.select.verdicts import Verdict
from mambaops.wheels.sources.listing import list_candidates, usual_sources

from .machines import machines

GOLDEN = Path(__file__).parent / "golden"
NEXT = 4


def choices(facts: Facts, empty_store: Path) -> dict[str, Any]:
    """What is chosen of everything that was ever planned, the best few, and which rules refused how many."""
    read = usual_sources(facts, store=empty_store)
    both = {package: list_candidates(package, facts, read) for package in pairs()[0]}
    pair = pair_versions(facts, [one for found in both.values() for one in found])
    found: dict[str, Any] = {"pair": pair.reason}
    for package, candidates in both.items():
        selection = select(package, facts, candidates)
        accepted = [one for one in selection.candidates if one.accepted]
        refused = Counter(one.rule or one.kind for one in selection.candidates if not one.accepted)
        found[package] = {
            "accepted": len(accepted),
            "chosen": _described(selection.chosen),
            "next": [one.name for one in accepted[1 : 1 + NEXT]],
            "refused": dict(sorted(refused.items())),
            "nearest": {one.name: list(one.change) for one in selection.nearest},
        }
    return found


def _described(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    described: dict[str, Any] = {"name": verdict.name, "reason": verdict.reason}
    if verdict.notes:
        described["notes"] = list(verdict.notes)
    if verdict.repair:
        described["repair"] = verdict.repair
    return described


def text(facts: Facts, empty_store: Path) -> str:
    """As a file of `golden/`."""
    found = choices(facts, empty_store)
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=120)


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    nowhere = GOLDEN / "no-store"
    for old in GOLDEN.glob("*"):
        old.unlink()
    for name, facts in machines().items():
        (GOLDEN / f"{name}.yaml").write_text(text(facts, nowhere), encoding="utf-8")


if __name__ == "__main__":
    main()
