"""Making an environment so that a kill at any point leaves a whole one, or none.

An environment holds its own path in scripts and settings, so it is made where it will lie: what was there
before is renamed first, and renamed back where the new one does not come about. Two marks beside it say
how far that went: `.NAME.making` (what lies there is not whole) and `.NAME.kept` (the one from before).
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from mambaops.state.places import Places

Say = Callable[[str], None]


def settle(where: Places, say: Say) -> None:
    """Finish or take back what an ended run has begun. The caller holds the profile's lock.

    The mark goes before the old environment comes back: beside the mark it would be taken for a half one.
    """
    if where.making.exists():
        _remove(where.env, where)
        where.making.unlink()
        say(f"{where.env}: what an ended run had begun to make was removed")
    if where.kept.exists() and not where.env.exists():
        where.kept.rename(where.env)
        say(f"{where.env}: the environment from before is back")
    _remove(where.kept, where)
    _delete(where.removed)


@contextlib.contextmanager
def making(where: Places) -> Iterator[None]:
    """In the block the environment is made; where that does not end well, nothing of it is left.

    One that is there already (it lacks pip, say) is completed, and stays whatever becomes of that.

    Raises:
        OSError: the place cannot be written to.
    """
    where.env.parent.mkdir(parents=True, exist_ok=True)
    if where.env.exists():
        yield
        return
    where.making.touch()
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            _remove(where.env, where)
            where.making.unlink()
        raise
    where.making.unlink()


@contextlib.contextmanager
def replacing(where: Places, say: Say) -> Iterator[None]:
    """In the block another environment is made in place of the one that is there, which comes back if that fails."""
    where.env.rename(where.kept)
    try:
        yield
    except BaseException:
        settle(where, say)
        raise
    _remove(where.kept, where)


def put_aside(folder: Path) -> Path:
    """Give a folder that is in the way another name beside it; returns where it lies now."""
    numbered = (folder.with_name(f"{folder.name}.broken{number or ''}") for number in range(1000))
    aside = next(path for path in numbered if not path.exists())
    return folder.rename(aside)


def remove(where: Places) -> None:
    """Take the environment away."""
    _remove(where.env, where)


def _remove(folder: Path, where: Places) -> None:
    """Whole or gone: half an environment would no longer be known as one."""
    if not folder.exists():
        return
    _delete(where.removed)
    folder.rename(where.removed)
    _delete(where.removed)


def _delete(folder: Path) -> None:
    """What a link points to is not ours to delete."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
