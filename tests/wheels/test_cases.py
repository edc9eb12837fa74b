"""The decisions about wheels, case by case: a file says what goes in and what must come out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from mambaops.core.errors import UsageError
from mambaops.wheels.candidates import from_name
from mambaops.wheels.inspect.compatibility import check_compatibility
from mambaops.wheels.machine import machine_of
from mambaops.wheels.names import parse_wheel_name
from mambaops.wheels.select.pair import pair_versions
from mambaops.wheels.select.selection import Wanted, select
from mambaops.wheels.select.verdicts import Verdict
from mambaops.wheels.sources.planned import AstralIndexPlan, OtherInstallers, UpstreamPlan

from .case_files import FOLDER, candidate, contents, facts, files, holds, read

MACHINE = {"machine", "change"}
SELECT = MACHINE | {
    "package",
    "wanted",
    "candidates",
    "chosen",
    "order",
    "nearest",
    "says",
    "fails",
    "misses",
    "because",
}
CANDIDATE = {"wheel", "other", "source", "status", "known"}
VERDICT = {"verdict", "reason", "exactly", "notes", "repair"}
PAIR = MACHINE | {"wanted", "candidates", "mamba-ssm", "causal-conv1d", "reason"}
CONTENTS = {"wheel", "metadata", "tags", "modules"}
COMPATIBILITY = MACHINE | CONTENTS | {"loads", "runs", "reason", "repairable"}
PLANNED = MACHINE | {"wanted", "package", "chosen", "nearest", "says"}
CONTRADICTIONS = CONTENTS | {"contradictions", "notes", "is"}


def cases(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", files(kind), ids=lambda path: path.stem)


def test_every_file_is_run() -> None:
    kinds = {"select", "pair", "compatibility", "contents", "candidate", "machine", "planned"}
    run = {path for kind in kinds for path in files(kind)} | {FOLDER / "README.md"}
    assert {path for path in FOLDER.rglob("*") if path.is_file()} == run


@cases("select")
def test_select(path: Path) -> None:
    case = read(path, SELECT)
    rows = case["candidates"]
    assert all(set(row) <= CANDIDATE | VERDICT for row in rows), path.name
    offered = [candidate(row) for row in rows]
    wanted = Wanted(**case.get("wanted", {}))
    if "fails" in case:
        with pytest.raises(UsageError, match=case["fails"]):
            select(case.get("package", "mamba-ssm"), facts(case), offered, wanted)
        return
    selection = select(case.get("package", "mamba-ssm"), facts(case), offered, wanted)
    by_number = {id(verdict.candidate): verdict for verdict in selection.candidates}
    for row, one in zip(rows, offered):
        check_verdict(row, by_number.get(id(one)))
    if "chosen" in case:
        assert (selection.chosen and selection.chosen.name) == case["chosen"]
    if "says" in case:
        assert selection.chosen is not None
        assert selection.chosen.reason.partition("; ")[2] == case["says"]
    if "order" in case:
        accepted = [one.candidate for one in selection.candidates if one.accepted]
        assert [offered.index(one) for one in accepted] == case["order"]
    if "nearest" in case:
        assert [list(one.change) for one in selection.nearest] == case["nearest"]
    if "misses" in case:
        found = [offered.index(one.candidate) for one in selection.nearest]
        assert found == case["misses"]
    for wanted_reason, miss in zip(case.get("because", []), selection.nearest):
        assert miss.reason == wanted_reason


def check_verdict(row: dict[str, Any], verdict: Verdict | None) -> None:
    """`verdict: left out` for what another package or version is."""
    if row.get("verdict") == "left out":
        assert verdict is None
        return
    assert verdict is not None
    accepted = row.get("verdict", "fits").removesuffix(", taken")
    assert verdict.kind == accepted
    assert verdict.accepted is (
        accepted != "refused" and (accepted != "neighbour" or row["verdict"].endswith("taken"))
    )
    holds(row.get("reason", []), verdict.reason)
    assert verdict.reason == row.get("exactly", verdict.reason)
    assert verdict.repair == row.get("repair")
    assert verdict.url == verdict.candidate.url
    if "notes" in row:
        for wanted, note in zip(row["notes"], verdict.notes, strict=True):
            holds(wanted, note)


@cases("planned")
def test_planned(path: Path) -> None:
    """What a machine comes to among everything that upstream and Astral planned."""
    case = read(path, PLANNED)
    here, package = facts(case), case.get("package", "mamba-ssm")
    sources = (UpstreamPlan(), AstralIndexPlan(), OtherInstallers())
    offered = [one for source in sources for one in source.candidates(package, here)]
    found = select(package, here, offered, Wanted(**case.get("wanted", {})))
    assert (found.chosen and found.chosen.name) == case["chosen"]
    if "nearest" in case:
        assert found.nearest[0].name == case["nearest"]
    reasons = {one.name: one.reason for one in found.candidates}
    for name, reason in case.get("says", {}).items():
        holds(reason, reasons[name])


@cases("pair")
def test_pair(path: Path) -> None:
    case = read(path, PAIR)
    offered = [candidate(row) for row in case["candidates"]]
    pair = pair_versions(facts(case), offered, Wanted(**case.get("wanted", {})))
    assert (pair.first and pair.first.name) == case["mamba-ssm"]
    assert (pair.other and pair.other.name) == case["causal-conv1d"]
    holds(case["reason"], pair.reason)


@cases("compatibility")
def test_compatibility(path: Path) -> None:
    case = read(path, COMPATIBILITY)
    found = check_compatibility(contents(case), facts(case)).as_json()
    holds(case["reason"], str(found.pop("reason")))
    assert found == {
        "loads": case["loads"],
        "runs": case["runs"],
        "repairable": case.get("repairable", False),
    }


@cases("contents")
def test_contents(path: Path) -> None:
    """Contradictions, oddities, and what is read off the modules as a whole."""
    case = read(path, CONTRADICTIONS)
    found = contents(case)
    for wanted, one in zip(case["contradictions"], found.contradictions, strict=True):
        holds(wanted, one)
    for wanted, one in zip(case.get("notes", found.notes), found.notes, strict=True):
        holds(wanted, one)
    shape = found.as_json()
    assert {key: shape[key] for key in case.get("is", {})} == case.get("is", {})


@cases("candidate")
def test_candidate(path: Path) -> None:
    """What a file name and the tables tell of a wheel."""
    case = read(path, {"wheel", "source", "is"})
    named = from_name(parse_wheel_name(case["wheel"]), case.get("source", "upstream"))
    assert fields_of(named, case["is"]) == case["is"]


@cases("machine")
def test_machine(path: Path) -> None:
    """The facts that decide, worked out from a facts file."""
    case = read(path, MACHINE | {"is"})
    assert fields_of(machine_of(facts(case)), case["is"]) == case["is"]


def fields_of(record: object, names: Iterable[str]) -> dict[str, Any]:
    """Fields by name, with lists for tuples, as YAML has them."""
    found = {name: getattr(record, name) for name in names}
    return {key: list(one) if isinstance(one, tuple) else one for key, one in found.items()}
