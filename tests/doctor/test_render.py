"""Findings for a terminal: one line per area, below it what is not well, and how many of what."""

from __future__ import annotations

from typing import Any

from mambaops.doctor.model import AREAS, Check
from mambaops.doctor.render import pasteable, summary, text


def finding(state: Any, what: str, cause: str = "", remedy: str = "", area: str = "torch") -> Check:
    return Check(id=what, area=area, state=state, what=what, cause=cause, remedy=remedy)


def lines_of(area: str, *checks: Check) -> list[str]:
    """The lines of one area, without the blanks around its name."""
    rows = text(list(checks)).split("\n")
    start = next(n for n, row in enumerate(rows) if row[5:].startswith(area))
    end = next((n for n in range(start + 1, len(rows)) if not rows[n].startswith("     ")), None)
    return [" ".join(row.split()) for row in rows[start:end]]


def test_what_is_well_stands_in_one_line() -> None:
    assert lines_of("torch", finding("ok", "2.8"), finding("ok", "new ABI")) == [
        "[ok] torch 2.8; new ABI"
    ]


def test_what_was_not_looked_at() -> None:
    assert lines_of("driver", finding("ok", "2.8"))[0] == "[- ] driver not looked at"


def test_a_trouble_alone_is_the_line_of_its_area_and_not_said_twice() -> None:
    assert lines_of("torch", finding("failed", "not there", "needed", "install it")) == [
        "[X ] torch not there",
        "X needed",
        "-> install it",
    ]


def test_a_trouble_beside_what_is_well() -> None:
    rows = lines_of("torch", finding("ok", "2.8"), finding("warning", "old", "slow"))
    assert rows == ["[! ] torch 2.8", "! old: slow"]


def test_what_fails_comes_before_what_is_to_be_looked_at() -> None:
    found = [finding("warning", "old", "slow", "wait"), finding("failed", "broken", "bad", "mend")]
    assert lines_of("torch", *found) == [
        "[X ] torch broken",
        "X bad",
        "-> mend",
        "! old: slow",
        "-> wait",
    ]


def test_a_skipped_area() -> None:
    assert lines_of("WSL", finding("skipped", "not WSL", area="WSL")) == ["[- ] WSL not WSL"]


def test_areas_stand_in_their_order_and_below_one_another() -> None:
    rows = [row for row in text([]).split("\n") if row.startswith("[")]
    assert [row[5:].split("  ")[0] for row in rows] == list(AREAS)
    assert len({row.index("not looked at") for row in rows}) == 1


def test_summary() -> None:
    failed, warned, fine = finding("failed", "a"), finding("warning", "b"), finding("ok", "c")
    assert summary([fine]) == "nothing is wrong"
    assert summary([failed, failed, fine]) == "2 to repair"
    assert summary([warned]) == "1 to look at"
    assert summary([failed, warned]) == "1 to repair, 1 to look at"
    assert text([failed]).endswith("\n\n1 to repair")


def test_a_block_to_paste() -> None:
    block = pasteable([finding("ok", "2.8")], "mambaops 1")
    assert block.startswith("```text\nmambaops 1\n\n[")
    assert block.endswith("nothing is wrong\n```")
