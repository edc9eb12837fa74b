"""Log lines as the tools print them, with facts, to the verdict: one YAML file per topic under `cases/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from recorded import varied

from mambaops.diagnose.match import Diagnosis, examine
from mambaops.diagnose.rules import load, read_yaml

HERE = Path(__file__).resolve().parent
CASES = [
    pytest.param(case, id=f"{path.stem}-{case['name']}")
    for path in sorted((HERE / "cases").glob("*.yaml"))
    for case in read_yaml(path.read_text(encoding="utf-8"))
]
KEYS = {"name", "source", "log", "machine", "facts", "finds", "harmless", "follows", "line", "says"}
KEYS |= {"fix", "first_error", "verdict", "exit_code"}


def verdict(case: dict[str, Any]) -> Diagnosis:
    facts = None
    if "machine" in case or "facts" in case:
        facts = varied(case.get("machine", "base"), case.get("facts", {}))
    return examine(iter([case["log"]]), facts, exit_code=case.get("exit_code"))


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any]) -> None:
    assert set(case) <= KEYS
    diagnosis = verdict(case)
    causes = [found for found in diagnosis.findings if not found.benign]
    assert [found.rule for found in causes] == case["finds"]
    assert diagnosis.recognised == bool(case["finds"])
    unknown = "failed" if case["finds"] or diagnosis.first_error is not None else diagnosis.verdict
    assert diagnosis.verdict == case.get("verdict", unknown)
    lines = case["log"].removesuffix("\n").split("\n") if case["log"] else []
    assert diagnosis.lines == len(lines)
    assert (diagnosis.first_error is None) == (diagnosis.first_error_line_number is None)
    if diagnosis.first_error is not None and diagnosis.first_error_line_number is not None:
        assert diagnosis.first_error.split()[0] in lines[diagnosis.first_error_line_number - 1]
    if "harmless" in case:
        harmless = [found.rule for found in diagnosis.findings if found.benign]
        assert harmless == case["harmless"]
    if "follows" in case:
        assert [one.rule for one in causes[0].consequences] == case["follows"]
    if "line" in case:
        assert causes[0].line_number == case["line"]
    if "first_error" in case:
        assert (diagnosis.first_error_line_number or 0) == case["first_error"]
    assert all(word in causes[0].cause for word in case.get("says", []))
    assert all(word in causes[0].fix for word in case.get("fix", []))


def test_rules_that_only_their_own_example_shows_are_known() -> None:
    """Honest: these rules have no log and no wording from elsewhere. Take a line out by adding a case."""
    index = json.loads((HERE / "logs" / "index.json").read_text(encoding="utf-8"))
    shown = {name for entry in index.values() for name in entry["ids"]}
    for parameter in CASES:
        (case,) = parameter.values
        shown |= {*case["finds"], *case.get("harmless", []), *case.get("follows", [])}
    for path in sorted((HERE / "reports").glob("*.yaml")):
        for report in read_yaml(path.read_text(encoding="utf-8")):
            shown |= set(report["finds"])
    without = {rule.id for rule in load().rules if rule.role != "silent"} - shown
    assert without == set((HERE / "without-evidence.txt").read_text(encoding="utf-8").split())
