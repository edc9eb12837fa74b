"""Command line words to the flags that a plan understands."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, get_args

from mambaops.core.errors import UsageError
from mambaops.decide.situation import Flags
from mambaops.profiles.model import PACKAGES, Way


def flags_of(values: dict[str, Any]) -> Flags:
    """Flags from a task's arguments; what a task does not have keeps its default.

    Raises:
        UsageError: a package or a way to obtain it that does not exist.
    """
    sources = _sources(values.get("source") or [])
    return Flags(
        arch=values.get("arch", ""),
        torch=values.get("torch", ""),
        python=values.get("python", ""),
        source=sources,
        source_ids={package: _digest(path) for package, path in sources.items()},
        cross=values.get("cross", False),
        sudo=values.get("sudo", False),
        obtain=_ways(values.get("obtain", "")),
    )


def _sources(words: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        package, equals, path = word.partition("=")
        if not equals or not path:
            raise UsageError(
                f"`--source {word}` does not say which package it is",
                hint=f"`--source mamba-ssm={word}`",
            )
        found[check_package(package)] = path
    return found


def _digest(path: str) -> str:
    """What lies at `path`: a change of the user's own sources is another build."""
    from mambaops.compile.sources import digest_of

    return digest_of(Path(path).expanduser())


def check_package(name: str) -> str:
    """The normalised name of one of the two packages.

    Raises:
        UsageError: another one.
    """
    normal = name.replace("_", "-").lower()
    if normal not in PACKAGES:
        raise UsageError(f"there is no package `{name}`; there are: {', '.join(PACKAGES)}")
    return normal


def _ways(text: str) -> tuple[str, ...]:
    ways = tuple(word.strip() for word in text.split(",") if word.strip())
    known = get_args(Way)
    for way in ways:
        if way not in known:
            near = difflib.get_close_matches(way, known, n=1)
            raise UsageError(
                f"`--obtain {way}` is no way to get a package; there are: {', '.join(known)}",
                hint=f"did you mean `{near[0]}`?" if near else "",
            )
    return ways
