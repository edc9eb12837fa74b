"""Kernels that NVRTC compiled on this machine: on first use, and for packs. Only a cache: what goes is compiled again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec

from mambaops.core.paths import cache_dir

# what a killed compilation can leave: locks, and files that were not whole
_PATTERNS = ("*.kernel", "*.lock", ".new-*")


class Kernels(msgspec.Struct, frozen=True, kw_only=True):
    """`count` files of `size` bytes together below `path`."""

    path: str
    count: int
    size: int


def compiled(
    now: float, *, keep: int | None = None, older_than: timedelta | None = None
) -> list[Path]:
    """Files of compiled kernels.

    Args:
        keep: as for wheels, 0 is everything; more leaves kernels alone, which are of no package.
        older_than: those not used for so long; as far as the file system tells, which may be a day late.
    """
    if keep and older_than is None:
        return []
    limit = now if older_than is None else now - older_than.total_seconds()
    return sorted(path for path in _files() if _used(path) < limit)


def counted(files: list[Path]) -> Kernels:
    """How many, and how much."""
    size = 0
    for path in files:
        with contextlib.suppress(OSError):
            size += path.stat().st_size
    return Kernels(path=str(cache_dir()), count=len(files), size=size)


def remove(files: list[Path]) -> None:
    """Delete them, and folders of packs that are empty then."""
    for path in files:
        path.unlink(missing_ok=True)
        if path.parent.parent.name == "packs":
            with contextlib.suppress(OSError):
                path.parent.rmdir()


def _files() -> Iterator[Path]:
    for folder in (cache_dir() / "kernels", *(cache_dir() / "packs").glob("*")):
        for pattern in _PATTERNS:
            yield from folder.glob(pattern)


def _used(path: Path) -> float:
    try:
        found = path.stat()
    except OSError:
        return float("inf")  # pruned by another process meanwhile
    return max(found.st_atime, found.st_mtime)
