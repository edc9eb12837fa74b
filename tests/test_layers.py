"""The rooms of the house: which may import which, which are pure, and that no module stands outside of them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from mambaops.core.paths import PACKAGE

# lowest first: a module imports from its own room and from those above it in this list
ROOMS = (
    "emulator",
    "core",
    "knowledge",
    "slurm",
    "facts",
    "profiles",
    "wheels",
    "wheels.inspect",
    "download",
    "store",
    "wheels.repair",
    "wheels.sources",
    "wheels.select",
    "patching",
    "system",
    "compile",
    "runtime",
    "decide",
    "state",
    "install",
    "fallback",
    "verify",
    "diagnose",
    "steps",
    "plan",
    "report",
    "run",
    "doctor",
    "bundle",
    "packs",
    "train",
    "gpu",
    "fleet",
    "cli",
)
# run by the target environment's interpreter: named by path, imported by nobody
PAYLOAD = "payload"
# what a step module may import when it is loaded: `assess` is pure, `act` imports what it needs when it runs
STEP_ROOMS = ("core", "knowledge", "facts", "profiles", "decide", "steps")
# neither start a process nor read an environment variable
PURE = (
    "emulator",
    "knowledge",
    "decide",
    "plan",
    "profiles/model.py",
    "profiles/explain.py",
    "wheels/candidates.py",
    "wheels/machine.py",
    "wheels/names.py",
    "wheels/sources/planned.py",
    "wheels/inspect/abi.py",
    "wheels/inspect/compatibility.py",
    "wheels/inspect/contradictions.py",
    "wheels/select/machine_rules.py",
    "wheels/select/nearest.py",
    "wheels/select/pair.py",
    "wheels/select/ranking.py",
    "wheels/select/rules.py",
    "wheels/select/selection.py",
    "wheels/select/torch_rules.py",
    "wheels/select/verdicts.py",
    "wheels/select/warnings.py",
    "diagnose/match.py",
    "patching/codemods",
    "runtime/adapt.py",
    "runtime/origins.py",
    "runtime/selection.py",
    "runtime/structs.py",
    "runtime/tokens.py",
)


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if PAYLOAD not in path.parts)


def name_of(path: Path) -> str:
    """`mambaops.store.store` of its file."""
    parts = ("mambaops", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    """The longest room that a module's name begins with; "" for the package itself and `__main__`."""
    inside = module.removeprefix("mambaops").lstrip(".")
    fitting = [room for room in ROOMS if inside == room or inside.startswith(f"{room}.")]
    return max(fitting, key=len, default="")


@cache
def known_modules() -> frozenset[str]:
    return frozenset(name_of(one) for one in modules())


@cache
def imported(path: Path) -> frozenset[str]:
    """Every module that a file imports anywhere, also within its functions."""
    return frozenset(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    known = known_modules()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in known else node.module


def label(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_every_module_has_a_room() -> None:
    outside = {name_of(path) for path in modules() if not room_of(name_of(path))}
    assert outside == {"mambaops", "mambaops.__main__"}


def test_every_room_has_modules() -> None:
    assert {room_of(name_of(path)) for path in modules()} - {""} == set(ROOMS)


@pytest.mark.parametrize("path", modules(), ids=label)
def test_imports_point_downwards(path: Path) -> None:
    own = room_of(name_of(path))
    if not own:
        return
    allowed = set(ROOMS[: ROOMS.index(own) + 1]) | {""}
    assert not {
        name for name in imported(path) if "mambaops." in name and room_of(name) not in allowed
    }


@pytest.mark.parametrize("path", modules(), ids=label)
def test_nobody_imports_the_payload(path: Path) -> None:
    assert not [name for name in imported(path) if name.startswith(f"mambaops.{PAYLOAD}")]


@pytest.mark.parametrize("path", modules(), ids=label)
def test_only_one_module_starts_processes(path: Path) -> None:
    if name_of(path) != "mambaops.core.process":
        assert "subprocess" not in imported(path)


def pure_files() -> list[Path]:
    found: list[Path] = []
    for name in PURE:
        place = PACKAGE / name
        assert place.exists(), f"{name} is gone: this list names what must stay pure"
        found += sorted(place.rglob("*.py")) if place.is_dir() else [place]
    return found


@pytest.mark.parametrize("path", pure_files(), ids=label)
def test_pure_modules_start_nothing_and_read_no_environment(path: Path) -> None:
    names = imported(path)
    assert not names & {"subprocess", "mambaops.core.process", "socket", "requests"}
    assert "os.environ" not in path.read_text(encoding="utf-8")


def test_no_circle_within_a_room() -> None:
    """Modules that import one another when they are loaded, also where the room is the same."""
    graph = {name_of(path): set(_at_load(path)) - {name_of(path)} for path in modules()}
    done: set[str] = set()
    while ready := {name for name, needs in graph.items() if name not in done and needs <= done}:
        done |= ready
    assert set(graph) - done == set()


def _at_load(path: Path) -> Iterator[str]:
    known = known_modules()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from names & known or {node.module} & known


@pytest.mark.parametrize("path", sorted((PACKAGE / "steps").glob("*.py")), ids=label)
def test_the_judgement_of_a_step_is_pure(path: Path) -> None:
    if path.name == "context.py":
        return  # what steps act with; loaded when one acts
    loaded = set(_at_load(path))
    assert {room_of(name) for name in loaded} - {""} <= set(STEP_ROOMS)
    assert "mambaops.core.process" not in loaded
    judged = next((node for node in ast.walk(_tree(path)) if _is_assess(node)), None)
    assert judged is None or not [node for node in ast.walk(judged) if _imports(node)]


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _is_assess(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == "assess"


def _imports(node: ast.AST) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def payload_files() -> list[Path]:
    return sorted((PACKAGE / PAYLOAD).rglob("*.py"))


@pytest.mark.parametrize("path", sorted((PACKAGE / "emulator").rglob("*.py")), ids=label)
def test_the_emulator_is_python_3_8_and_imports_itself_numpy_and_the_standard_library(
    path: Path,
) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= {"numpy", *sys.stdlib_module_names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            assert node.module in sys.stdlib_module_names


@pytest.mark.parametrize("path", payload_files(), ids=label)
def test_payload_files_are_python_3_8_and_import_only_each_other(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    outside = {
        name
        for name in imported(path)
        if name.startswith("mambaops.") and not name.startswith(f"mambaops.{PAYLOAD}")
    }
    assert not outside
