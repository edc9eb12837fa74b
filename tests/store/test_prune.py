"""What pruning removes, case by case: `cases/prune/*.yaml` (`used`: days since each wheel was handed out)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from mambaops.store.entries import Entry, to_prune

CASES = sorted((Path(__file__).parent / "cases" / "prune").glob("*.yaml"))
DAY = 86400.0
NOW = 1000 * DAY


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_prune(path: Path) -> None:
    case = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(case) <= {"why", "used", "added", "keep", "older_than", "gone"}
    added = NOW - case.get("added", 500) * DAY
    entries = [
        Entry(
            wheel=name,
            sha256="",
            size=0,
            added=added,
            used=None if days is None else NOW - days * DAY,
        )
        for name, days in case["used"].items()
    ]
    age = timedelta(days=case["older_than"]) if "older_than" in case else None
    gone = to_prune(entries, NOW, keep=case.get("keep"), older_than=age)
    assert [entry.wheel for entry in gone] == case["gone"]
