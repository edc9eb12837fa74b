"""Whole logs: each yields exactly its ids, whatever its dress."""

import json
from pathlib import Path

import pytest

from mambaops.diagnose.explain import explain_log
from mambaops.diagnose.first_error import is_wrapper

LOGS = Path(__file__).resolve().parent / "logs"
INDEX = json.loads((LOGS / "index.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(INDEX))
def test_log_yields_exactly_its_ids(name: str) -> None:
    diagnosis = explain_log(LOGS / name).diagnosis
    assert [found.rule for found in diagnosis.findings if not found.benign] == INDEX[name]["ids"]


@pytest.mark.parametrize("name", sorted(INDEX))
def test_line_numbers_are_those_of_an_editor(name: str) -> None:
    lines = (LOGS / name).read_bytes().decode("utf-8", "replace").split("\n")
    for found in explain_log(LOGS / name).diagnosis.findings:
        words = found.line.strip("…").split()[1]
        assert words in lines[found.line_number - 1].replace("\x1b[01;31m\x1b[K", "").replace(
            "\x1b[m\x1b[K", ""
        )
        assert not is_wrapper(found.line)


def test_every_log_is_in_the_index() -> None:
    assert {path.name for path in LOGS.glob("*.log")} == set(INDEX)


@pytest.mark.parametrize("name", sorted(INDEX))
def test_what_made_it_is_kept(name: str) -> None:
    assert (LOGS / INDEX[name]["made_by"]).is_file()


@pytest.mark.parametrize("name", ["success-cpp.log", "success-cuda.log", "no-ninja-build.log"])
def test_a_successful_log_has_no_finding(name: str) -> None:
    diagnosis = explain_log(LOGS / name).diagnosis
    assert diagnosis.findings == []
    assert diagnosis.first_error is None
    assert not diagnosis.failed


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unknown-cpp.log", "has no member named"),
        ("unknown-python.log", "ValueError: kernels.yaml: expected a list of kernels, got 3"),
    ],
)
def test_an_unknown_failure_is_not_guessed(name: str, words: str) -> None:
    diagnosis = explain_log(LOGS / name).diagnosis
    assert [found for found in diagnosis.findings if not found.benign] == []
    assert words in (diagnosis.first_error or "")


def test_logs_hold_no_place_of_the_machine_that_made_them() -> None:
    for path in LOGS.glob("*.log"):
        text = path.read_text(encoding="utf-8", errors="replace")
        for word in (" /work/", "/tmp/diag", "/root/"):
            assert word not in text, f"{path.name}: {word}"
