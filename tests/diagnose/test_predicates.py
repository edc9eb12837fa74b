"""Each condition that rules name, on evidence for and against it: `predicates.yaml`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from recorded import varied

from mambaops.diagnose.predicates import (
    PREDICATES,
    Evidence,
    NamedFile,
    holds,
    release,
    told_by_file,
)
from mambaops.diagnose.rules import load, read_yaml

TABLE: list[dict[str, Any]] = read_yaml(
    Path(__file__).with_name("predicates.yaml").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("row", TABLE)
def test_a_predicate(row: dict[str, Any]) -> None:
    known = "machine" in row
    seen = Evidence(
        facts=varied(row["machine"], row.get("facts", {})) if known else None,
        signals=frozenset(row.get("signals", [])),
        groups=row.get("groups", {}),
        file=NamedFile(name="x.so", **row["file"]) if "file" in row else None,
    )
    assert holds(row["predicate"], seen) is row["holds"]


def test_every_predicate_has_a_row_for_and_against_it() -> None:
    rows = {(row["predicate"], row["holds"]) for row in TABLE}
    assert rows == {(name, answer) for name in PREDICATES for answer in (True, False)}


def test_what_a_file_settles_names_only_what_it_tells() -> None:
    told = told_by_file(Evidence(file=NamedFile(name="x.so")))
    for cases in load().settled.values():
        for case in cases:
            texts = " ".join([case.cause, *case.fix])
            assert set(re.findall(r"\{(\w+)\}", texts)) <= set(told), case.when


def test_no_predicate_always_holds() -> None:
    assert holds(None, Evidence())


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("12.8.93", (12, 8, 93)), ("2.6.0+cu124", (2, 6, 0)), (None, ()), ("2.dev.7", (2,))],
)
def test_release(text: str | None, numbers: tuple[int, ...]) -> None:
    assert release(text) == numbers
