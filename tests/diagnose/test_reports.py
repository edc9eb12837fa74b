"""Public reports whose cause is known: what their logs are taken for, and that the page tells it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mambaops.core.paths import CHECKOUT
from mambaops.diagnose.match import examine
from mambaops.diagnose.rules import read_yaml

HERE = Path(__file__).resolve().parent / "reports"
REPORTS = sorted(HERE.glob("*.yaml"))


def test_the_cause_of_every_report_is_named_first() -> None:
    for path in REPORTS:
        for report in read_yaml(path.read_text(encoding="utf-8")):
            found = examine([report["log"]])
            named = [one.rule for one in found.findings if not one.benign]
            assert found.verdict == "failed", report["url"]
            assert named[:1] and named[0] in report["finds"], (report["url"], named)


def test_the_halves_are_apart_by_date() -> None:
    early, late = (
        read_yaml((HERE / f"{half}.yaml").read_text(encoding="utf-8"))
        for half in ("before-2025", "since-2025")
    )
    assert max(one["date"] for one in early) < "2025" <= min(one["date"] for one in late)
    assert len(early + late) >= 100


def test_no_report_counts_twice() -> None:
    reports = [one for path in REPORTS for one in read_yaml(path.read_text(encoding="utf-8"))]
    assert len({one["url"] for one in reports}) == len(reports)


def test_the_page_tells_the_score() -> None:
    script = CHECKOUT / "docs" / "diagnose_score.py"
    done = subprocess.run([sys.executable, str(script), "--check"], check=False)
    assert done.returncode == 0, "run `python docs/diagnose_score.py`"
