"""Which functions and lines of a room's files a test runs, also where a cache has run them before."""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Cache = functools._lru_cache_wrapper[object]

DEAR_SECONDS = 0.02  # of computing: a cache that costs more is filled once for all tests


@dataclass
class Places:
    called: set[str] = field(default_factory=set)  # "file:first line" of a function
    ran: set[str] = field(default_factory=set)  # "file:line"

    def add(self, others: list[Places]) -> None:
        for other in others:
            self.called |= other.called
            self.ran |= other.ran


class Caches:
    """The caches of some files.

    A test is to be seen to run what it needs, also what a test before has left in a cache: the cheap ones are
    emptied before each test. Those that take long and need no argument (a catalogue, its patterns) are filled
    once; what that ran is counted for each test that asks them.
    """

    def __init__(self, files: set[str]) -> None:
        objects = (one for one in gc.get_objects() if type(one) is functools._lru_cache_wrapper)
        self.all: list[Cache] = [one for one in objects if _file_of(one) in files]
        self.dear: dict[Cache, Places] = {}
        for cache in filter(_asks_nothing, self.all):
            self.clear()
            started = time.process_time()
            with contextlib.suppress(Exception), watched(files) as places:
                cache()
                if time.process_time() - started > DEAR_SECONDS:
                    self.dear[cache] = places
        self.clear()
        self.fill()

    def fill(self) -> None:
        for cache in self.dear:
            cache()

    def clear(self, kept: str = "") -> None:
        """Empty all; without the dear ones for which `kept`, a function's place, has not run."""
        for cache in self.all:
            if not kept or cache not in self.dear or kept in self.dear[cache].called:
                cache.cache_clear()

    def forget(self) -> dict[Cache, int]:
        """Empty the cheap ones; the answer is for `asked`."""
        for cache in set(self.all) - set(self.dear):
            cache.cache_clear()
        return {cache: cache.cache_info().hits for cache in self.dear}

    def asked(self, before: dict[Cache, int]) -> list[Places]:
        """What the dear ones had run that have answered since `forget`."""
        return [self.dear[one] for one, hits in before.items() if one.cache_info().hits != hits]


def _asks_nothing(cache: Cache) -> bool:
    parameters = inspect.signature(cache).parameters.values()
    return all(one.default is not one.empty for one in parameters)


def _file_of(cache: Cache) -> str:
    code = getattr(inspect.unwrap(cache), "__code__", None)
    return code.co_filename if code else ""


@contextlib.contextmanager
def watched(files: set[str]) -> Iterator[Places]:
    """The places of `files` that are run meanwhile."""
    places, watches = Places(), dict[int, _Watch]()

    def heard(frame: FrameType, event: str, argument: object) -> object:
        code = frame.f_code
        if code.co_filename not in files:
            return None
        watch = watches.get(id(code)) or watches.setdefault(id(code), _Watch(code))
        watch.left.discard(frame.f_lineno)
        return watch.line if watch.left else None

    threading.settrace(heard)
    sys.settrace(heard)
    try:
        yield places
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
        for one in list(watches.values()):
            places.called.add(f"{one.code.co_filename}:{one.code.co_firstlineno}")
            places.ran |= {f"{one.code.co_filename}:{line}" for line in one.lines - one.left}


class _Watch:
    """One function; once all of its lines have run it is not followed any further."""

    def __init__(self, code: CodeType) -> None:
        self.code = code  # kept, so that its id is nobody else's
        self.lines = {line for *_, line in code.co_lines() if line}
        self.left = set(self.lines)
        self.line: Callable[[FrameType, str, object], object] = self._line

    def _line(self, frame: FrameType, event: str, argument: object) -> object:
        self.left.discard(frame.f_lineno)
        if not self.left:
            frame.f_trace_lines = False
        return self.line
