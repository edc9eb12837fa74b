"""What this machine is: `facts`."""

from __future__ import annotations

from mambaops.cli.task import Context, emit, task


@task(
    group="diagnose",
    examples=(
        "mambaops facts",
        "mambaops facts --json > machine.json",
    ),
    excludes=(("python", "facts"),),
    help={
        "python": "interpreter of the environment to look at (default: the one that runs mambaops)",
        "facts": "print this file of facts instead of looking at the machine",
        "json": "everything, as one JSON object",
    },
)
def facts(c: Context, python: str = "", facts: str = "", json: bool = False) -> None:
    """Look at this machine: driver, GPUs, compilers, Python, torch, packages.

    Read-only, needs no torch import, takes a fraction of a second. Keep the result with
    `mambaops facts --json > machine.json`; `--facts machine.json` reads it anywhere.
    """
    from pathlib import Path

    from mambaops.facts.collect import collect
    from mambaops.facts.model import load
    from mambaops.facts.summary import render

    found = load(Path(facts)) if facts else collect(Path(python) if python else None)
    emit(found, as_json=json, text=render)
