"""Imports point downwards only, and pure modules stay pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from mambaops.resources import PACKAGE

# lower number: lower layer; a module may import from its own layer and below
LAYERS = {
    "errors": 0,
    "resources": 0,
    "proc": 1,
    "knowledge": 1,
    "profiles": 1,
    "patching": 2,
    "facts": 2,
    "system": 3,
    "build": 4,
    "wheels": 4,
    "diagnose": 4,
    "doctor": 5,
    "plan": 5,
    "report": 6,
    "environments": 1,
    "runlog": 1,
    "observe": 6,
    "verify": 6,
    "steps": 7,
    "runner": 8,
}
PURE = ["plan", "profiles", "wheels/select", "wheels/rules", "diagnose/match", "patching/codemods"]


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "target" not in path.parts)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(module: str) -> str:
    return module.split(".")[1] if module.startswith("mambaops.") else ""


def own_part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path: Path) -> None:
    own = LAYERS.get(own_part(path))
    if own is None:
        return  # the command line and what stands on everything
    upwards = {
        name for name in imported(path) if LAYERS.get(part(name), -1) > own or part(name) == "cli"
    }
    assert not upwards


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nobody_imports_the_target_code(path: Path) -> None:
    assert not [name for name in imported(path) if name.startswith("mambaops.target")]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_proc_starts_processes(path: Path) -> None:
    if path.name != "proc.py":
        assert "subprocess" not in set(imported(path))


def pure_files() -> list[Path]:
    found: list[Path] = []
    for name in PURE:
        folder = PACKAGE / name
        found += sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    return found


@pytest.mark.parametrize("path", pure_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_pure_modules_start_nothing_and_read_no_environment(path: Path) -> None:
    names = set(imported(path))
    assert not names & {"subprocess", "mambaops.proc", "socket", "requests"}
    assert "os.environ" not in path.read_text(encoding="utf-8")


def target_files() -> list[Path]:
    return sorted((PACKAGE / "target").rglob("*.py"))


@pytest.mark.parametrize("path", target_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_target_files_are_python_3_8_and_import_only_each_other(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    outside = {
        name
        for name in imported(path)
        if name.startswith("mambaops.") and not name.startswith("mambaops.target")
    }
    assert not outside
