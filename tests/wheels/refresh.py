"""Write the golden traces anew: `python -m tests.wheels.refresh`, then look at the difference with git."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mambaops.facts.model import Facts
from mambaops.wheels.names import PACKAGES
from mambaops.wheels.select.selection import pair_versions, select
from mambaops.wheels.sources.listing import offers, sources

from .machines import machines

GOLDEN = Path(__file__).parent / "golden"


def trace(facts: Facts, empty_store: Path) -> dict[str, Any]:
    """The whole trace: accepted candidates in order, refused ones grouped by their reason.

    A group keeps how many there are, one name, and a digest of all names: thousands fit on a page and no
    change goes unseen.
    """
    read = sources(facts, store=empty_store)
    both = {package: offers(package, facts, read) for package in PACKAGES}
    pair = pair_versions(facts, [one for package in PACKAGES for one in both[package]])
    found: dict[str, Any] = {
        "pair": {
            "mamba-ssm": pair.mamba and pair.mamba.name,
            "causal-conv1d": pair.conv and pair.conv.name,
            "reason": pair.reason,
        }
    }
    for package, candidates in both.items():
        selection = select(package, facts, candidates)
        found[package] = {
            "chosen": selection.chosen and _line(selection.chosen),
            "accepted": [_line(one) for one in selection.candidates if one.accepted],
            "refused": _groups([one for one in selection.candidates if not one.accepted]),
            "nearest": [
                {"name": one.name, "reason": one.reason, "change": list(one.change)}
                for one in selection.nearest
            ],
        }
    return found


def _line(verdict: Any) -> dict[str, Any]:
    line = {"name": verdict.name, "source": verdict.source, "reason": verdict.reason}
    if verdict.notes:
        line["notes"] = list(verdict.notes)
    if verdict.repair:
        line["repair"] = verdict.repair
    return line


def _groups(refused: list[Any]) -> list[dict[str, Any]]:
    by_reason: dict[str, list[str]] = {}
    for verdict in refused:
        by_reason.setdefault(verdict.reason, []).append(verdict.name)
    return [
        {
            "reason": reason,
            "count": len(names),
            "first": names[0],
            "names": hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16],
        }
        for reason, names in sorted(by_reason.items())
    ]


def text(facts: Facts, empty_store: Path) -> str:
    return json.dumps(trace(facts, empty_store), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    nowhere = GOLDEN / "no-store"
    for old in GOLDEN.glob("*.json"):
        old.unlink()
    for name, facts in machines().items():
        (GOLDEN / f"{name}.json").write_text(text(facts, nowhere), encoding="utf-8")


if __name__ == "__main__":
    main()
