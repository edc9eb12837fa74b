"""Forked children, each trying one bug, with a limit on what it may compute and on its time."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 6  # a busy machine, or a test that waits: so much more on the clock than of computing


@dataclass
class Mutant:
    """One bug: number `index` of a file."""

    file: Path
    index: int
    line: int
    what: str
    function: int
    outcome: str = ""  # killed, survived, not (reached), none (no bug), unplanted
    by: str = ""
    seconds: float = 0.0  # of computing


class Pool:
    """At most `size` children at once."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.running: dict[int, tuple[Mutant, float, Path]] = {}
        self.ended: list[Mutant] = []  # since somebody last looked

    def run(self, mutant: Mutant, limit: float, work: Callable[[Path], str]) -> None:
        """Start a child as soon as there is room; `work` gives the outcome and the test that noticed."""
        while len(self.running) >= self.size:
            self.reap()
        folder = Path(tempfile.mkdtemp(prefix="mutant-"))
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            _child(folder, work, limit)
        self.running[pid] = (mutant, time.monotonic() + PATIENCE * limit, folder)

    def finish(self) -> None:
        while self.running:
            self.reap()

    def reap(self) -> None:
        """Look once whether a child has ended or has had its time."""
        for pid, (mutant, until, folder) in list(self.running.items()):
            ended, _, used = os.wait4(pid, os.WNOHANG)
            if not ended and time.monotonic() <= until:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # and what it has started
            if not ended:
                _, _, used = os.wait4(pid, 0)
            mutant.seconds += used.ru_utime + used.ru_stime
            answer = folder / "answer"
            text = (
                answer.read_text(encoding="utf-8")
                if answer.exists()
                else "killed the process ended"
            )
            mutant.outcome, _, mutant.by = (text if ended else "killed time ran out").partition(" ")
            shutil.rmtree(folder, ignore_errors=True)
            del self.running[pid]
            self.ended.append(mutant)
        time.sleep(0.002)


def _child(folder: Path, work: Callable[[Path], str], limit: float) -> None:
    code = 1
    try:
        os.setpgid(0, 0)
        end_with_parent()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit + 1 + time.process_time()), -1))
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        answer = work(folder)
        (folder / "answer").write_text(answer, encoding="utf-8")
        code = 0
    finally:
        os._exit(code)


def end_with_parent() -> None:
    """A child whose starter was stopped ends too (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def computed() -> float:
    """Seconds of computing so far, with the programs that were started and have ended."""
    return sum(os.times()[:4])
