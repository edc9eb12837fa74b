"""Recorded machines, for every test that needs one: `facts_of("debian10-a800")`."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from machine_files import assembled, machine_names, merged

from mambaops.facts.model import Facts


def names() -> list[str]:
    """Every recorded machine."""
    return machine_names()


@cache
def facts_of(name: str) -> Facts:
    """The facts of one recorded machine."""
    return msgspec.convert(assembled(name), Facts)


def varied(name: str, changes: dict[str, Any]) -> Facts:
    """The facts of a machine with some of them changed, as in a machine's own file.

    Keys are those of `Facts`: mappings are merged, lists replaced, `null` takes away.
    """
    facts: dict[str, Any] = msgspec.to_builtins(facts_of(name))
    return msgspec.convert(merged(facts, changes), Facts)


def path_of(name: str) -> Path:
    """Its facts as a file, for a command's `--facts`."""
    path = Path(_folder().name) / f"{name}.json"
    if not path.exists():
        path.write_bytes(msgspec.json.format(msgspec.json.encode(facts_of(name)), indent=1))
    return path


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """One for the whole run; it goes with the process."""
    return tempfile.TemporaryDirectory(prefix="recorded-machines-")
