"""Facts and a profile to the findings: one YAML file per topic under `cases/`."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import msgspec
import pytest
from machine_files import merged
from recorded import names, varied

from mambaops.diagnose.rules import read_yaml
from mambaops.doctor.examine import examine, exit_code
from mambaops.doctor.model import AREAS, Check
from mambaops.facts.complete import complete
from mambaops.profiles.load import load_profile
from mambaops.profiles.model import Profile

HERE = Path(__file__).resolve().parent
CASES = [
    pytest.param(case, id=f"{path.stem}-{case['name']}")
    for path in sorted((HERE / "cases").glob("*.yaml"))
    for case in read_yaml(path.read_text(encoding="utf-8"))
]
KEYS = {"name", "machine", "facts", "profile", "wants", "exit", "failed", "warning", "absent"}
TEXTS = ("what", "cause", "remedy")


def found_by(case: dict[str, Any]) -> list[Check]:
    facts = complete(varied(case.get("machine", "base"), case.get("facts", {})))
    return examine(facts, profile_of(case))


def profile_of(case: dict[str, Any]) -> Profile | None:
    if "profile" not in case:
        return None
    profile = load_profile(case["profile"])
    changed = merged(msgspec.to_builtins(profile), case.get("wants", {}))
    return msgspec.convert(changed, Profile)


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any]) -> None:
    assert set(case) <= KEYS | {"checks"}
    found = found_by(case)
    if "exit" in case:
        assert exit_code(found) == case["exit"]
    for state in ("failed", "warning"):
        if state in case:
            assert [check.id for check in found if check.state == state] == case[state]
    assert not {check.id for check in found} & set(case.get("absent", []))
    for name, wanted in case.get("checks", {}).items():
        compare([check for check in found if check.id == name], wanted, name)


def compare(checks: list[Check], wanted: dict[str, Any], name: str) -> None:
    """A text holds every word that is wanted of it, or is it all after a `=`; other fields are equal."""
    assert checks, f"no {name}"
    check = next((one for one in checks if fits(one, wanted)), checks[0])
    for field, value in wanted.items():
        have = getattr(check, field)
        if field in TEXTS and isinstance(value, str) and value.startswith("="):
            assert have == value[1:]
        elif field in TEXTS and value:
            words = [value] if isinstance(value, str) else value
            assert [word for word in words if word not in have] == [], have
        else:
            assert have == value, field


def fits(check: Check, wanted: dict[str, Any]) -> bool:
    words = wanted.get("what") or []
    words = [words.lstrip("=")] if isinstance(words, str) else words
    return all(word in check.what for word in words)


@pytest.mark.parametrize("name", names())
def test_every_area_is_spoken_of_in_order_and_every_trouble_has_a_remedy(name: str) -> None:
    found = examine(complete(varied(name, {})))
    order = [
        check.area for check in found if check.id not in ("libcuda-link-missing", "windows-drive")
    ]
    assert list(dict.fromkeys(order)) == [area for area in AREAS if area in order]
    assert {check.area for check in found} == set(AREAS)
    for check in found:
        if check.state in ("failed", "warning"):
            assert check.cause and check.remedy, check.what


def test_every_finding_can_be_told_apart_and_has_a_case() -> None:
    """An id that no case names would be a decision that nothing tests."""
    sources = (HERE.parents[1] / "src/mambaops/doctor").glob("*.py")
    pure = [path for path in sources if path.stem not in ("live", "network")]
    ids = {
        node.value
        for path in pure
        for keyword in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(keyword, ast.keyword) and keyword.arg == "id"
        for node in ast.walk(keyword.value)
        if isinstance(node, ast.Constant)
    }
    named = {name for p in CASES for name in p.values[0].get("checks", {})}
    assert ids - named == set()
