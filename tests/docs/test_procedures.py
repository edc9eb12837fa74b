"""Every procedure has a proof that is there: a test that runs it, not only a case of what would be done."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mambaops.core.paths import CHECKOUT

PAGE = CHECKOUT / "docs" / "procedures.md"
# folders whose tests show decisions about recorded machines: nothing is run there
PLANS = ("tests/cases", "tests/plan/", "tests/doctor/test_cases.py", "tests/diagnose/test_cases.py")


def rows() -> dict[str, str]:
    """Id -> what the column `what proves it` says."""
    found = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split(" | ")]
        if re.match(r"\| P\d\d$", cells[0]):
            found[cells[0][2:]] = cells[3]
    return found


def named_in(proof: str) -> list[str]:
    return re.findall(r"`(tests/[\w/.]+)`", proof)


def test_all_procedures_are_there() -> None:
    assert list(rows()) == [f"P{number:02}" for number in range(1, 37)]


@pytest.mark.parametrize("row", sorted(rows()))
def test_the_proof_is_a_test_that_runs_it(row: str) -> None:
    named = named_in(rows()[row])
    assert named, "no test is named"
    for name in named:
        assert name.endswith(".py"), f"{name}: name the file"
        text = (CHECKOUT / name).read_text(encoding="utf-8")
        assert "\ndef test_" in text or "\n    def test_" in text, f"{name} holds no test"
    assert [name for name in named if not name.startswith(PLANS)], (
        "only what would be done is shown"
    )


def test_a_machine_that_is_named_has_a_pipeline() -> None:
    """Where a row says that each machine shows it, each profile for Linux is run."""
    text = Path(CHECKOUT / "tests/pipelines/test_twice.py").read_text(encoding="utf-8")
    shown = set(re.findall(r'profile="([\w-]+)"', text))
    profiles = {path.stem for path in (CHECKOUT / "env_profiles").glob("*.yaml")}
    assert profiles - shown == {"windows-5090"}
