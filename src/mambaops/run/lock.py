"""One mambaops at a time on one profile's environment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from mambaops.core.errors import MambaopsError
from mambaops.state.places import Places


@contextlib.contextmanager
def locked(where: Places) -> Iterator[None]:
    """Hold the profile's lock.

    Raises:
        MambaopsError: another one is at work, or the place cannot be written to.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(where.lock, timeout=0)
    try:
        where.lock.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise MambaopsError(
            f"another mambaops is working on profile `{where.profile}` in {where.root}",
            hint="wait for it, or work elsewhere: `export MAMBAOPS_HOME=/another/folder`",
        ) from None
    except OSError as error:
        raise MambaopsError(
            f"{where.root} cannot be written to: {error.strerror or error}",
            hint="name a folder of yours: `export MAMBAOPS_HOME=/a/folder/of/yours`",
        ) from error
    try:
        yield
    finally:
        lock.release()
