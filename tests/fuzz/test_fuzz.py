"""A hundred drawn command lines, those that once broke something, and how an end is judged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from drawn import Case, case  # noqa: E402
from running import Ended, judged  # noqa: E402


def fuzz(*words: str) -> str:
    """What `python tests/fuzz` says; it must have found nothing wrong."""
    argv = [sys.executable, str(HERE), *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.long
@pytest.mark.timeout(1500)  # seconds where the machine is free
def test_no_drawn_command_line_ends_in_a_traceback_or_hangs() -> None:
    """A part of the 2,000 that `nox -s fuzz` and CI draw."""
    assert "100 cases, 0 wrong" in fuzz("100", "default")


def test_what_was_found_once_is_not_found_again() -> None:
    assert " 0 wrong" in fuzz("--found")


def test_a_seed_is_one_case() -> None:
    assert case("a:1") == case("a:1")
    assert len({tuple(case(f"a:{number}").words) for number in range(50)}) > 40


def ended(status: int = 0, stdout: str = "", stderr: str = "") -> Ended:
    return Ended(status=status, stdout=stdout.encode(), stderr=stderr.encode(), seconds=0.1)


@pytest.mark.parametrize(
    ("words", "end", "wrong"),
    [
        (["plan"], ended(2, stderr="error: x"), ""),
        (["plan"], ended(70), "ends with 70"),
        (["plan"], ended(3), "ends with 3"),
        (["diagnose", "x.log"], ended(3), ""),
        (["plan"], ended(120), "ends with 120"),
        (["plan"], ended(-11), "ends with -11"),
        (["plan"], ended(1000), "hangs: not ended after 10 s"),
        (["plan"], ended(1, stderr="Traceback (most recent call last):"), "prints a traceback"),
        (["plan", "--json"], ended(2, stdout='{"schema": "x"}'), ""),
        (["plan", "--json"], ended(2), "with --json, stdout is not one JSON document"),
        (["plan", "--json"], ended(0, "{}{}"), "with --json, stdout is not one JSON document"),
        (["plan", "--json"], ended(0, "{}"), "the JSON document has no schema"),
        (["generate", "--json"], ended(0, "text of another program"), ""),
        (["plan", "--", "--json"], ended(0, "text"), ""),
    ],
)
def test_how_an_end_is_judged(words: list[str], end: Ended, wrong: str) -> None:
    assert judged(Case(words=words), end) == wrong
