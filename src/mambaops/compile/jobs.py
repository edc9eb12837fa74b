"""How many compilers may run at once, and one pool of them for several builds.

ninja from 1.13 on is a client of GNU make's jobserver: builds that run side by side share one pool of
tokens, and when one ends the other takes over its core.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

GIB = 1024**3


def job_count(wanted: int, cores: int, memory: int | None, each: float) -> tuple[int, str]:
    """Compilers at once, and why: by cores, and by memory where that is scarcer.

    Args:
        wanted: from the profile or `MAX_JOBS`; 0 decides here.
        memory: bytes that are free, None: not known.
        each: GiB that one compiler takes at its peak (architectures are compiled in turn).
    """
    if wanted:
        return wanted, "as asked for"
    by_memory = cores if memory is None else max(1, int(memory // (each * GIB)))
    if by_memory < cores:
        free = (memory or 0) / GIB
        return by_memory, f"{free:.1f} GiB of memory are free, {cores} cores would need more"
    return max(1, cores), f"{cores} cores"


class Pool:
    """A jobserver: a FIFO of tokens. Every client has one job of its own besides."""

    def __init__(self, folder: Path, jobs: int, clients: int) -> None:
        self.path = folder / "jobserver"
        os.mkfifo(self.path)
        # opened for both, so that no end ever blocks
        self._pipe = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        self.jobs = jobs
        self.release(max(0, jobs - clients))

    def release(self, tokens: int = 1) -> None:
        """Hand tokens to whoever is waiting; called when a client has ended."""
        os.write(self._pipe, b"+" * tokens)

    @property
    def makeflags(self) -> str:
        return f" -j{self.jobs} --jobserver-auth=fifo:{self.path}"

    def close(self) -> None:
        os.close(self._pipe)


@contextlib.contextmanager
def pool(jobs: int, clients: int) -> Iterator[Pool]:
    """A pool for `clients` builds that together run `jobs` compilers (never fewer than one each)."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="mambaops-jobs-") as folder:
        made = Pool(Path(folder), jobs, clients)
        try:
            yield made
        finally:
            made.close()
