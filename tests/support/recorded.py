"""Recorded machines, for every test that needs one: `facts_of("debian10-a800")`."""

from __future__ import annotations

from pathlib import Path

from mambaops.facts.model import Facts, load

FOLDER = Path(__file__).resolve().parents[1] / "machines"


def names() -> list[str]:
    """Every recorded machine."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def facts_of(name: str) -> Facts:
    """The facts of one recorded machine."""
    return load(path_of(name))


def path_of(name: str) -> Path:
    """Its facts as a file, for a command's `--facts`."""
    return FOLDER / f"{name}.json"
