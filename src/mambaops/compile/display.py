"""What a person sees while a build runs: live on a terminal, a plain line now and then without one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from mambaops.compile.builds import Progress
from mambaops.compile.estimate import remaining
from mambaops.core.amounts import duration

PLAIN_SECONDS = 30.0


class BuildDisplay:
    """Called with the progress of every build; `with` it, so that the terminal is left as it was."""

    def __init__(self, say: Callable[[str], None], logs: Sequence[Path]) -> None:
        self._say = say
        self._live = _live() if sys.stderr.isatty() else None
        self._told: dict[str, set[str]] = {}
        self._last = 0.0
        for log in logs:
            say(f"full log: {log}")

    def __enter__(self) -> BuildDisplay:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, builds: list[Progress], elapsed: float) -> None:
        if self._live is not None:
            self._live.update("\n".join(lines(builds, elapsed)))
            return
        self._tell_finished(builds)
        if elapsed - self._last >= PLAIN_SECONDS:
            self._last = elapsed
            for line in lines(builds, elapsed):
                self._say(line)

    def _tell_finished(self, builds: list[Progress]) -> None:
        for build in builds:
            now = {u.name: u.seconds for u in build.units if u.seconds is not None}
            # objects that were whole before we began are told in one line
            if build.package not in self._told and build.total and build.units[0].object:
                self._told[build.package] = set(now)
                if now:
                    self._say(
                        f"{build.package}: {len(now)} of {build.total} objects are whole already"
                    )
            for name, seconds in now.items():
                if build.package in self._told and name not in self._told[build.package]:
                    self._told[build.package].add(name)
                    self._say(f"{build.package}: {name} compiled in {duration(seconds)}")


def lines(builds: list[Progress], elapsed: float) -> list[str]:
    """One line per build: how many of how many, what is compiling, how long, how long still."""
    running = {one.name: one.seconds for build in builds for one in build.running}
    left = remaining([build.units for build in builds], elapsed, running)
    made = [
        f"{build.package}: {build.done}/{build.total} files"
        + (f"; compiling {_running(build)}" if build.running else "")
        for build in builds
    ]
    estimate = f", about {duration(left)} left" if left is not None else ""
    return [*made, f"{duration(elapsed)} so far{estimate}"]


def _running(build: Progress) -> str:
    return ", ".join(f"{one.name} ({duration(one.seconds)})" for one in build.running)


class _Live:
    """rich's live region, made only on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        self._text = Text
        self._live = Live(console=Console(stderr=True), refresh_per_second=4, transient=True)

    def start(self) -> None:
        self._live.start()

    def stop(self) -> None:
        self._live.stop()

    def update(self, text: str) -> None:
        self._live.update(self._text(text))


def _live() -> _Live:
    return _Live()
