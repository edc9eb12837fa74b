"""Places that a person names for what is written: looked at before any work is done, and nothing of theirs is lost.

One rule for every command: a file or folder that is there and that mambaops did not write is refused, unless
the person said `--force`; so is a place that cannot be written to.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from mambaops.core.errors import UsageError


def _nobodys(path: Path) -> bool:
    return False


def file_to_write(
    path: Path, *, force: bool = False, ours: Callable[[Path], bool] = _nobodys
) -> Path:
    """The absolute path of a file that may be written; nothing is made yet.

    Args:
        force: replace a file of the person's. ours: was the file that is there written by mambaops?

    Raises:
        UsageError: it is a folder or a device, somebody else's file, or its folder cannot be written to.
    """
    place = path.expanduser().absolute()
    if place.is_dir():
        raise UsageError(
            f"`{path}` is a folder, and a file is to be written", hint="name a file in it"
        )
    if os.path.lexists(place):
        if place.exists() and not place.is_file():
            raise UsageError(f"`{path}` is no regular file", hint="name another one")
        if not force and not ours(place):
            raise _somebodys(path)
    check_writable(place.parent, path)
    return place.resolve() if place.is_symlink() else place


def folder_to_write(
    path: Path, *, force: bool = False, ours: Callable[[Path], bool] = _nobodys
) -> Path:
    """The absolute path of a folder that may be filled: it is not there, empty, or ours. As `file_to_write`."""
    place = path.expanduser().absolute()
    if os.path.lexists(place) and not place.is_dir():
        raise UsageError(f"`{path}` is a file, and a folder is to be filled", hint="name another")
    if place.is_dir() and any(place.iterdir()) and not force and not ours(place):
        raise _somebodys(path)
    check_writable(place, path)
    return place


def check_writable(folder: Path, named: Path) -> None:
    """Raises:
    UsageError: the folder, or the nearest one above it that is there, cannot be written to.
    """
    there = folder
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise UsageError(f"`{named}` cannot be written: `{there}` is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(
            f"`{named}` cannot be written: `{there}` belongs to somebody else or is read-only",
            hint="name a place of yours",
        )


def _somebodys(path: Path) -> UsageError:
    return UsageError(
        f"`{path}` is there already, and mambaops did not write it: it is not overwritten",
        hint="name another place, or give `--force` where it may go",
    )
