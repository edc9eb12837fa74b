"""A request to end (Ctrl-C, `kill`, a terminal that closes) becomes an exception; what was started ends first."""

from __future__ import annotations

import _thread
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

NUMBERS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
NAMES = {2: "interrupted", 15: "terminated", 1: "the terminal has gone"}


class Stopped(KeyboardInterrupt):
    """A signal asked us to end; who takes care of Ctrl-C takes care of this. Exit status: 128 + `number`."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__(NAMES.get(number, f"signal {number}"))
        self.number = int(number)


class _State:
    """What the handlers know. All of it is changed in the main thread alone."""

    stopping = False  # a signal has come: nothing new is started
    held = 0  # >0: a signal waits until the end of a section
    pending: int | None = None
    ending = False  # what was started is being ended: a second signal only hurries that


state = _State()


def stopping() -> bool:
    """Has a request to end come?"""
    return state.stopping


def number_of(error: BaseException) -> int:
    """The signal behind an interruption; SIGINT where it is Python's own."""
    return error.number if isinstance(error, Stopped) else int(signal.SIGINT)


@contextlib.contextmanager
def ending_on_signals(end: Callable[[], object], hurry: Callable[[], None]) -> Iterator[None]:
    """While the block runs, the signals raise `Stopped` in it, and `end` is called in another thread.

    One that our caller had ignored (`nohup`, a job in the background of a script) stays ignored.

    Args:
        end: ends what was started. hurry: called for a second signal while that is under way.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if state.ending:
            hurry()
        elif state.held:
            state.pending = number
        else:
            _stop(number, end)

    before: dict[int, Any] = {one: signal.getsignal(one) for one in NUMBERS}
    taken = [one for one, old in before.items() if old is not signal.SIG_IGN and old is not None]
    try:
        for one in taken:
            signal.signal(one, handle)
        yield
    finally:
        for one in taken:
            signal.signal(one, before[one])
        state.stopping = False
        state.pending = None


def _stop(number: int, end: Callable[[], object]) -> None:
    state.stopping = True
    # not threading's: its locks may be held by the very code that was interrupted
    _thread.start_new_thread(_quietly, (end,))
    raise Stopped(number)


def _quietly(end: Callable[[], object]) -> None:
    # the main thread does the same, and tells
    with contextlib.suppress(Exception):
        end()


@contextlib.contextmanager
def held() -> Iterator[None]:
    """A signal waits until the block is over: between the start of a process and the note of it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    state.held += 1
    try:
        yield
    finally:
        state.held -= 1
        if state.pending is not None and not state.held:
            number, state.pending = state.pending, None
            signal.raise_signal(number)


@contextlib.contextmanager
def answered() -> Iterator[None]:
    """In the block, which takes care of a request to end, something may be started once more."""
    before, state.stopping = state.stopping, False
    try:
        yield
    finally:
        state.stopping = before


@contextlib.contextmanager
def hurried() -> Iterator[None]:
    """In the block a signal only hurries: it is the one that ends what was started."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, state.ending = state.ending, True
    try:
        yield
    finally:
        state.ending = before
