"""The tool that plants bugs: which bugs it plants, which it leaves alone, and that it tells who noticed."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from mutate import sites  # noqa: E402
from plant import read_at_import  # noqa: E402


def bugs(source: str) -> list[str]:
    return [one.what for one in sites(ast.parse(source))]


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("def f(a): return a < 3", ["returns None", "a < 3: < -> <=", "3 -> 4"]),
        ("x = a and b", ["a and b: and -> or", "operand dropped: a", "operand dropped: b"]),
        ("if not a: b()", ["not a -> a", "removed: b()"]),
        ("if a: raise E('no such thing')", ["a -> not a", "removed: raise"]),
        ("x = 'done'", ["'done' -> ''"]),
        ("x = min(a, key=b)", ["min -> max", "argument dropped: key"]),
        ("x = [one for one in a if one.good]", ["filter dropped: one.good"]),
        ("x = {'a': 0}", ["'a' -> ''", "0 -> 1"]),
        ("x = a + b", ["a + b -> a"]),
    ],
)
def test_a_bug_that_a_person_could_type(source: str, wanted: list[str]) -> None:
    assert bugs(source) == wanted


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "__all__ = ['a']",
        "x: int",
        "def f(a: list['b']) -> 'c': ...",
        "say('word', loud=True)",
        "x = f'{a if b else c}'",
        "x = 'a text for people'",
        "IMPORT_SECONDS = 30",
        "from a import b",
        "assert a == b",
    ],
)
def test_what_no_decision_hangs_on_is_left_alone(source: str) -> None:
    assert bugs(source) == []


def test_what_an_import_reads() -> None:
    source = """
A = 1
B = frozenset(one for one in module.A2)
@C
def f(x: D = E, *, y=F) -> G:
    return H
class I(J):
    k: K = L
    def m(self):
        return M
"""
    tree = ast.parse(source)
    assert set(read_at_import(tree)) == set("CEFJKL") | {"frozenset", "one", "module", "A2"}


MODULE = """
LIMITS = {"small": 2, "large": 5}
WORDS = ("one", "two")
EVERY = frozenset(WORDS)


def fits(size: int, kind: str = "small") -> bool:
    return size <= LIMITS[kind]


def known(word: str) -> bool:
    return word in EVERY


def unused(a: int) -> int:
    return a * 2
"""
TEST = """
from mambaops.room import fits, known


def test_fits():
    assert fits(2) and not fits(3)


def test_large():
    assert fits(4, "large")


def test_known():
    assert known("one")
"""


def test_a_run_names_survivors_and_who_noticed_the_rest(tmp_path: Path) -> None:
    write(tmp_path / "src/mambaops/__init__.py", "")
    write(tmp_path / "src/mambaops/room.py", MODULE)
    write(tmp_path / "tests/test_room.py", TEST)
    write(tmp_path / "pyproject.toml", "[tool.pytest.ini_options]\nmarkers = []\n")
    tool = tmp_path / "tests/mutants"
    shutil.copytree(HERE, tool, ignore=shutil.ignore_patterns("__pycache__", "test_*"))
    write(
        tool / "rooms.toml",
        'wanted = 50\nceiling = 3.0\n[room.a]\nfiles=["*.py"]\ntests=["tests/test_room.py"]\n',
    )
    write(
        tool / "survivors.toml",
        '[[survivor]]\nfile = "room.py"\nline = "return a * 2"\nbug = "2 -> 3"\nreason = "unused"\n'
        '[[survivor]]\nfile = "room.py"\nline = "gone"\nbug = "2 -> 3"\nreason = "unused"\n',
    )
    done = subprocess.run(
        [sys.executable, tool, "--verbose"],
        env={"PYTHONPATH": str(tmp_path / "src"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout
    assert (
        "killed   room.py:8: size <= LIMITS[kind]: <= -> <   by tests/test_room.py::test_fits"
        in said
    ), done
    assert "SURVIVED room.py:2: 5 -> 6" in said
    assert "UNREACHED room.py:16: a * 2: Mult -> FloorDiv" in said
    assert "survivors.toml names what is not there: room.py: `gone`" in said
    assert "1 survivors with a reason" in said
    assert "'small' -> ''" in said  # a default value
    # functions, tables and default values are changed where they are, but for those from which others are made
    assert "2 bugs for each of which the program is imported anew" in said
    assert "killed   room.py:3: 'one' -> ''" in said
    assert "SURVIVED room.py:3: 'two' -> ''" in said
    assert done.returncode == 0


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
