"""One mambaops at a time on one profile's environment; what a run has started is gone before the next one begins."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator

from mambaops.core import process, trees
from mambaops.core.errors import MambaopsError
from mambaops.core.signals import hurried
from mambaops.state.places import Places

Say = Callable[[str], None]


def _silent(line: str) -> None:
    pass


@contextlib.contextmanager
def locked(where: Places, say: Say = _silent, *, part: str = "") -> Iterator[None]:
    """Hold the profile's lock; let it go when nothing runs any more of what was started under it.

    Args:
        part: the lock of one package alone: others of the profile may be worked on, the whole may not.

    Raises:
        MambaopsError: another one is at work, or the place cannot be written to.
    """
    from filelock import FileLock, Timeout

    path = where.lock.with_name(f"{where.lock.name}.{part}") if part else where.lock
    lock = FileLock(path, timeout=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        if not part:
            _no_part_is_held(where)
    except Timeout:
        lock.release()
        raise MambaopsError(
            f"another mambaops is working on profile `{where.profile}` in {where.root}",
            hint="wait for it, or work elsewhere: `export MAMBAOPS_HOME=/another/folder`",
        ) from None
    except OSError as error:
        raise MambaopsError(
            f"{where.root} cannot be written to: {error.strerror or error}",
            hint="name a folder of yours: `export MAMBAOPS_HOME=/a/folder/of/yours`",
        ) from error
    running = where.lock.with_suffix(
        f".{part}.running" if part else ".running"
    )  # stays after a kill
    label = f"lock-{hashlib.sha256(os.fsencode(path)).hexdigest()}"
    try:
        if running.exists():
            _end_leftover(label, say)
        running.touch()
        with process.labelled(label):
            yield
    except BaseException:
        _end_ours(say)
        raise
    finally:
        running.unlink(missing_ok=True)
        lock.release()


def _no_part_is_held(where: Places) -> None:
    """Raises: filelock.Timeout."""
    from filelock import FileLock

    for path in where.lock.parent.glob(f"{where.lock.name}.*"):
        with FileLock(path, timeout=0):
            pass


def _end_leftover(label: str, say: Say) -> None:
    """A run that was killed leaves its commands behind; they would work beside ours in the same place."""
    for one in trees.with_label(label):
        say(f"ended what a killed run has left: {trees.words(one)}")
        trees.end_processes([one])


def _end_ours(say: Say) -> None:
    left = process.end_all()
    if not left:
        return
    names = ", ".join(trees.words(one) for one in left)
    say(f"waiting for {names}, which may not be ended from here; a further Ctrl-C does not wait")
    with hurried():
        while trees.living(left) and not trees.hurry.is_set():
            time.sleep(0.2)
