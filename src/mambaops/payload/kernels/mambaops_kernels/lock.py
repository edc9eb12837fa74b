"""A lock that also holds on NFS: a file made with O_EXCL, refreshed while it is held, broken when its holder is gone.

Nothing depends on it for correctness (files are renamed into place): it only keeps eight processes from compiling
the same kernel. So where a file system has no exclusive creation, two of them compile, and that is all.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from typing import Iterator, Optional, Tuple

# a holder refreshes its file every second; this long without is dead, or cut off from the file system
STALE_SECONDS = 30.0


class Lock:
    """`path`: the lock's file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._held = False
        self._seen: Optional[Tuple[float, float]] = None

    def take(self) -> bool:
        """Take it now, or return False. Where no file can be made, everybody takes it."""
        try:
            handle = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            if self._is_stale():
                self._break()
            return False
        except OSError:
            return True
        with os.fdopen(handle, "w") as file:
            file.write(f"{socket.gethostname()} {os.getpid()}\n")
        self._held = True
        return True

    def release(self) -> None:
        """Give it back."""
        if self._held:
            self._held = False
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    @contextlib.contextmanager
    def kept_alive(self) -> Iterator[None]:
        """While the block runs, refresh the file, so that others see its holder alive."""
        done = threading.Event()

        def refresh() -> None:
            while not done.wait(1.0):
                with contextlib.suppress(OSError):
                    os.utime(self._path)

        thread = threading.Thread(target=refresh, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _is_stale(self) -> bool:
        """Dead on this machine; or, from wherever, not refreshed for long by our own clock.

        The file's time is the server's, so it is not compared with ours: it must not change while ours goes on.
        """
        try:
            changed = os.stat(self._path).st_mtime
            with open(self._path, encoding="utf-8") as file:
                words = file.read().split()
        except OSError:
            return False
        if len(words) == 2 and words[0] == socket.gethostname() and not _is_alive(int(words[1])):
            return True
        now = time.monotonic()
        if self._seen is None or self._seen[0] != changed:
            self._seen = (changed, now)
        return now - self._seen[1] > STALE_SECONDS

    def _break(self) -> None:
        """Out of the way by a rename: of several that try, one gets it."""
        aside = f"{self._path}.{uuid.uuid4().hex}"
        with contextlib.suppress(OSError):
            os.rename(self._path, aside)
            os.unlink(aside)


def _is_alive(pid: int) -> bool:
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
