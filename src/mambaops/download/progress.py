"""How far a download is, at what rate, and how long it will take: live on a terminal, else in lines."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import TaskID

WINDOW = 20.0  # seconds over which the rate is taken
WORTH_A_LINE = 5_000_000  # bytes; smaller files are there before one has read it
LINE_EVERY = 10.0  # seconds between lines where no terminal is


class Progress(Protocol):
    """What `fetch` tells while it works. `total` is None when the server did not say."""

    def start(self, name: str, total: int | None, offset: int) -> None: ...

    def advance(self, size: int) -> None: ...

    def note(self, text: str) -> None: ...

    def stop(self) -> None: ...


class Silent:
    """No progress; notes go nowhere."""

    def start(self, name: str, total: int | None, offset: int) -> None: ...

    def advance(self, size: int) -> None: ...

    def note(self, text: str) -> None: ...

    def stop(self) -> None: ...


class Meter:
    """Bytes per second over the last seconds; times are passed in."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def add(self, size: int, now: float) -> None:
        self._points.append((now, size))
        while self._points and self._points[0][0] < now - WINDOW:
            self._points.popleft()

    def rate(self, now: float) -> float | None:
        """None while there is too little to tell."""
        if len(self._points) < 2 or now <= self._points[0][0]:
            return None
        # the first piece came before the span began
        return sum(size for _, size in list(self._points)[1:]) / (now - self._points[0][0])


class Lines:
    """A line now and then, for logs and pipes."""

    def __init__(self, write: Callable[[str], None] | None = None) -> None:
        self._write = write or (lambda text: print(text, file=sys.stderr, flush=True))
        self._name, self._done = "", 0
        self._total: int | None = None
        self._meter, self._last = Meter(), 0.0

    def start(self, name: str, total: int | None, offset: int) -> None:
        self._name, self._total, self._done = name, total, offset
        self._meter, self._last = Meter(), time.monotonic()
        size = f"{megabytes(total)}" if total else "size unknown"
        again = f", from byte {offset}" if offset else ""
        if total is None or total > WORTH_A_LINE or offset:
            self._write(f"fetching {name} ({size}{again})")

    def advance(self, size: int) -> None:
        self._done += size
        now = time.monotonic()
        self._meter.add(size, now)
        if now - self._last >= LINE_EVERY:
            self._last = now
            self._write(progress_line(self._name, self._done, self._total, self._meter.rate(now)))

    def note(self, text: str) -> None:
        self._write(text)

    def stop(self) -> None: ...


def progress_line(name: str, done: int, total: int | None, rate: float | None) -> str:
    """E.g. `a.whl: 120.0 of 509.0 MB (24 %), 10.3 MB/s, 38 s left`."""
    text = f"{name}: {megabytes(done)}"
    if total:
        text = f"{name}: {done / 1e6:.1f} of {megabytes(total)} ({100 * done // total} %)"
    if rate:
        text += f", {rate / 1e6:.1f} MB/s"
        if total:
            text += f", {(total - done) / rate:.0f} s left"
    return text


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


class Live:
    """A bar that moves, on a terminal."""

    def __init__(self) -> None:
        from rich import progress
        from rich.console import Console

        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task: TaskID | None = None

    def start(self, name: str, total: int | None, offset: int) -> None:
        if self._task is None:
            self._task = self._bar.add_task(name, total=total, completed=offset)
            self._bar.start()
        self._bar.update(self._task, total=total, completed=offset)

    def advance(self, size: int) -> None:
        if self._task is not None:
            self._bar.advance(self._task, size)

    def note(self, text: str) -> None:
        self._bar.console.print(text, highlight=False, markup=False)

    def stop(self) -> None:
        self._bar.stop()
        self._task = None


def for_stderr() -> Progress:
    """A moving bar on a terminal, lines elsewhere."""
    return Live() if sys.stderr.isatty() else Lines()
