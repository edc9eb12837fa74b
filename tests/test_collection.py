"""Every test file on the disk is collected: none is passed over for its folder's name."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def passed_over(path: Path, config: pytest.Config) -> bool:
    """Would pytest not look into one of the file's folders, or not at the file?"""
    folders = path.relative_to(HERE).parts[:-1]
    skipped = any(
        fnmatch(one, pattern) for one in folders for pattern in config.getini("norecursedirs")
    )
    return skipped or not any(
        fnmatch(path.name, pattern) for pattern in config.getini("python_files")
    )


def test_no_folder_of_tests_has_a_name_that_is_passed_over(pytestconfig: pytest.Config) -> None:
    there = list(HERE.rglob("test_*.py"))
    assert Path(__file__) in there
    assert [str(path) for path in there if passed_over(path, pytestconfig)] == []
    assert pytestconfig.getini("testpaths") == [HERE.name]


def test_a_file_of_tests_is_named_as_one() -> None:
    """A file with test functions whose name does not begin with `test_` is never run."""
    others = [path for path in HERE.rglob("*.py") if not path.name.startswith("test_")]
    wrong = [path for path in others if "\ndef test_" in path.read_text(encoding="utf-8")]
    assert [str(path.relative_to(HERE)) for path in wrong] == []


def test_a_skipped_name_is_noticed(pytestconfig: pytest.Config) -> None:
    assert passed_over(HERE / "node_modules" / "test_a.py", pytestconfig)
    assert not passed_over(HERE / "build" / "test_a.py", pytestconfig)
