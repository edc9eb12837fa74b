"""Every patch release of a supported Python will do, the first one too.

mypy knows which minor version brought what (`python_version` in pyproject.toml). What came later, with a patch
release, it does not know: that is listed here, with the release that brought it (the library's own "Changed in").
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
# attribute or name -> where it came with
NAMES = {
    "data_filter": "3.10.12, 3.11.4",
    "tar_filter": "3.10.12, 3.11.4",
    "fully_trusted_filter": "3.10.12, 3.11.4",
    "FilterError": "3.10.12, 3.11.4",
    "AbsolutePathError": "3.10.12, 3.11.4",
    "OutsideDestinationError": "3.10.12, 3.11.4",
    "set_int_max_str_digits": "3.10.7",
    "get_int_max_str_digits": "3.10.7",
    "SetReparseDeferralEnabled": "3.10.14, 3.11.9",
}
# (function, argument) -> where it came with
ARGUMENTS = {
    ("extract", "filter"): "3.10.12, 3.11.4",
    ("extractall", "filter"): "3.10.12, 3.11.4",
    ("unpack_archive", "filter"): "3.10.12, 3.11.4",
    ("getaddresses", "strict"): "3.10.15, 3.11.10",
    ("parseaddr", "strict"): "3.10.15, 3.11.10",
}
# these ask for it before they use it (`hasattr`), which the tests themselves do under `skipif`
ASKED_FIRST = {"tests/core/test_untar.py"}


def newer(tree: ast.AST) -> Iterator[str]:
    """What a file uses that the first patch release of 3.10 or 3.11 lacks."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in NAMES:
            yield f"line {node.lineno}: {node.attr} (from {NAMES[node.attr]} on)"
        if isinstance(node, ast.ImportFrom):
            for one in node.names:
                if one.name in NAMES:
                    yield f"line {node.lineno}: {one.name} (from {NAMES[one.name]} on)"
        if isinstance(node, ast.Call):
            yield from _arguments(node)


def _arguments(call: ast.Call) -> Iterator[str]:
    called = (
        call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    )
    for keyword in call.keywords:
        came = ARGUMENTS.get((called, keyword.arg or ""))
        if came:
            yield f"line {call.lineno}: {called}({keyword.arg}=) (from {came} on)"


def sources() -> list[Path]:
    folders = ("src", "tests", "benchmarks", "docs")
    found = [path for folder in folders for path in (CHECKOUT / folder).rglob("*.py")]
    return [CHECKOUT / "noxfile.py", CHECKOUT / "tasks.py", *sorted(found)]


def test_nothing_is_used_that_a_patch_release_brought() -> None:
    found = {
        str(path.relative_to(CHECKOUT)): used
        for path in sources()
        if "setup_py" not in path.parts  # recorded files of others
        and (used := list(newer(ast.parse(path.read_text(encoding="utf-8")))))
    }
    assert {name: used for name, used in found.items() if name not in ASKED_FIRST} == {}
    assert set(found) == ASKED_FIRST


@pytest.mark.parametrize(
    "code",
    [
        "packed.extractall(folder, filter='data')",
        "import shutil\nshutil.unpack_archive(a, b, filter='data')",
        "from tarfile import data_filter",
        "import sys\nsys.set_int_max_str_digits(0)",
    ],
)
def test_it_is_noticed(code: str) -> None:
    assert list(newer(ast.parse(code)))
    assert not list(newer(ast.parse("packed.extractall(folder)\nfilter(None, [])")))
