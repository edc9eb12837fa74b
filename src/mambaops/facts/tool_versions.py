"""Versions that programs told once, kept while their files are the same: asking a dozen tools costs more than all else.

Only their versions: that a compiler works is asked each time. A script is always asked, since what it starts may
change without it, and so is a program of another name behind a link (snap's, ccache's).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mambaops.core.kept import keep, recall
from mambaops.facts.model import Facts

Stamp = list[int]
FILE = "tool-versions.json"


def told_before() -> dict[str, str]:
    """Version by path, of every program whose file is still the one that told it."""
    return {
        path: entry["version"]
        for path, entry in _read().items()
        if entry.get("version") and _stamp(path) == entry.get("stamp")
    }


def remember(facts: Facts, known: Mapping[str, str], since: float) -> None:
    """Keep what was told just now; where the cache cannot be written, nothing is kept.

    Args:
        known: what `told_before` knew.
        since: when the tools were asked, in seconds since 1970: a program that changed then or later is left out.
    """
    wrong = [problem.error for problem in facts.problems if problem.fact == "tools"]
    kept: dict[str, dict[str, Any]] = {}
    for tool in facts.tools.values():
        failed = any(tool.path in text for text in wrong)
        stamp = None if failed or tool.path in known else _stamp(tool.path, since)
        if stamp and tool.version:
            kept[tool.path] = {"version": tool.version, "stamp": stamp}
    if kept:
        keep(FILE, {**_read(), **kept})


def _read() -> dict[str, Any]:
    """What is kept; {} where that is nothing, or no longer what was written."""
    try:
        return {path: dict(entry) for path, entry in recall(FILE).items()}
    except (ValueError, AttributeError, TypeError):
        return {}


def _stamp(path: str, since: float | None = None) -> Stamp | None:
    """What is another number for another file; None where a file does not tell the version by itself."""
    program = Path(path)
    if not program.is_absolute():
        return None
    try:
        real = program.resolve()
        told = real.stat()
        with real.open("rb") as file:
            script = file.read(2) == b"#!"
    except OSError:
        return None
    another = program.stem not in real.name
    if script or another or (since is not None and told.st_ctime >= since):
        return None
    return [told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns]
