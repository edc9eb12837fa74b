"""Answers that are kept in the user's cache since they cost much; one that is lost or damaged costs time alone."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mambaops.core.errors import MambaopsError
from mambaops.core.files import write_text
from mambaops.core.paths import cache_dir


class _Kept:
    """Is anything written down?"""

    on = True


@contextlib.contextmanager
def nothing_kept() -> Iterator[None]:
    """Nothing is written in the block: `--dry` changes no file, also none of the cache."""
    _Kept.on = False
    try:
        yield
    finally:
        _Kept.on = True


def recall(name: str) -> Any:
    """The JSON document of that name; None where there is none, or no whole one."""
    try:
        return json.loads(_file(name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def keep(name: str, document: Any) -> None:
    """Write a document, if it is JSON's and the cache can be written."""
    if not _Kept.on:
        return
    with contextlib.suppress(OSError, MambaopsError, TypeError, ValueError, RecursionError):
        write_text(_file(name), json.dumps(document, indent=1, allow_nan=False))


def _file(name: str) -> Path:
    return cache_dir() / name
