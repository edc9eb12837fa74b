"""What a running build is doing, read from the outside: ninja's own files and the process table.

ninja prints a command only when it has ended, and one file of these packages compiles for minutes. So the
list of files comes from `build.ninja`, what is done from `.ninja_log`, and what is being compiled from the
compilers that run right now.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

# e.g. "build /x/build/temp.linux-x86_64-cpython-311/csrc/a.o: cuda_compile /x/csrc/a.cu"
_EDGE = re.compile(r"^build (?P<object>\S+): (?:cuda_)?compile (?P<source>\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One file to compile. `seconds` and `began` are None until its object is whole."""

    source: str
    object: str
    seconds: float | None = None
    began: float | None = None  # seconds after ninja's own beginning

    @property
    def name(self) -> str:
        return Path(self.source).name


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """A file that is being compiled right now, and since how many seconds."""

    name: str
    seconds: float


def units(tree: Path) -> list[Unit]:
    """The files of a build tree: from `build.ninja` where ninja has it, else from the sources."""
    found: list[Unit] = []
    for file in sorted(tree.glob("build/temp*/**/build.ninja")):
        spans = finished(file.with_name(".ninja_log"))
        text = file.read_text(encoding="utf-8", errors="replace")
        for match in _EDGE.finditer(text):
            name = match["object"]
            began, seconds = spans.get(name, (None, None))
            found.append(Unit(source=match["source"], object=name, seconds=seconds, began=began))
    return found or [
        Unit(source=str(path), object="")
        for path in sorted([*tree.glob("**/*.cu"), *tree.glob("**/*.cpp")])
    ]


def finished(log: Path) -> dict[str, tuple[float, float]]:
    """Object -> when its last compilation began and how long it took (seconds), from `.ninja_log`; objects that are gone do not count."""
    found: dict[str, tuple[float, float]] = {}
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return found
    for line in lines:
        # e.g. "12\t480012\t1763700000000000000\t/x/a.o\t5d6c…" (times in ms since ninja began)
        parts = line.split("\t")
        if (
            len(parts) == 5
            and parts[0].isdigit()
            and parts[1].isdigit()
            and Path(parts[3]).is_file()
        ):
            begin, end = int(parts[0]), int(parts[1])
            found[parts[3]] = (begin / 1000, (end - begin) / 1000)
    return found


def compiling(pids: Sequence[int], sources: Sequence[str]) -> list[Activity]:
    """Which of `sources` the descendants of these processes compile, longest first."""
    import time

    wanted = {source: Path(source).name for source in sources}
    now, since = time.time(), dict[str, float]()
    for process in _descendants(pids):
        try:
            words, started = process.cmdline(), process.create_time()
        except psutil.Error:
            continue  # it has just ended
        for word in words:
            if word in wanted:
                since[wanted[word]] = min(started, since.get(wanted[word], started))
    return sorted(
        (Activity(name=name, seconds=now - started) for name, started in since.items()),
        key=lambda activity: -activity.seconds,
    )


def _descendants(pids: Sequence[int]) -> Iterator[psutil.Process]:
    for pid in pids:
        try:
            yield from psutil.Process(pid).children(recursive=True)
        except psutil.Error:
            continue
