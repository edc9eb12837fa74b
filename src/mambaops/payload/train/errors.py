"""What ends a training program early, with the exit status that each cause has.

Exit codes: 0 done, 1 a check or a step failed, 2 bad flags or bad data, 5 out of memory, 130 and 143
stopped by SIGINT and SIGTERM after the state was saved.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import Callable, Dict, Iterator, List, Tuple


class TrainError(Exception):
    """A step or a check failed (exit 1). `hint` says what the person can do."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(TrainError):
    """Flags, configuration or data that cannot be used as they are (exit 2)."""

    exit_code = 2


class OutOfMemory(TrainError):
    """The device (or the machine) has less memory than a step needs (exit 5)."""

    exit_code = 5


class Stopped(TrainError):
    """A signal asked us to leave; the state was saved first (exit 128 + signal)."""

    def __init__(self, signum: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + signum


def guarded(main: Callable[[], object]) -> int:
    """Run a program's `main` and return its exit status; our errors are printed, not traced.

    With MAMBAOPS_JSON=NAME what `main` returns becomes the one JSON document on stdout, and all talk goes to stderr.
    """
    name = os.environ.pop("MAMBAOPS_JSON", "")
    if not name:
        return _ended(main)[0]
    from mambaops.payload.train.document import documented

    return documented(name, lambda: _ended(main))


def _ended(main: Callable[[], object]) -> Tuple[int, object]:
    """(exit status, what `main` returned, or the error as a mapping)."""
    try:
        return 0, main()
    except TrainError as error:
        print(f"error: {error.message}", file=sys.stderr)
        hint = ""
        if error.hint:
            # how the person who started us reaches the program that the hint names
            program = os.environ.get("MAMBAOPS_PROGRAM", "mambaops")
            hint = error.hint.replace("`mambaops ", f"`{program} ")
            print(f"\nhint: {hint}", file=sys.stderr, flush=True)
        return error.exit_code, {"message": error.message, "hint": hint}
    except KeyboardInterrupt:
        text = "interrupted: nothing was running that needed saving"
        print(text, file=sys.stderr)
        return 130, {"message": text, "hint": ""}


@contextmanager
def noted_signals(note: Dict[str, int]) -> Iterator[None]:
    """The first SIGINT or SIGTERM is noted (the state is saved, then we leave); one that comes more than a
    second later kills. `timeout` sends each twice: to its child and to the group."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    first: List[float] = []

    def handler(signum: int, _frame: object) -> None:
        note["signum"] = signum
        first.append(time.monotonic())
        if first[-1] - first[0] > 1.0:
            signal.signal(signum, signal.default_int_handler if signum == 2 else signal.SIG_DFL)
            os.kill(os.getpid(), signum)

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def leave_signals_to_the_main_process(_worker: int) -> None:
    """In a loader's worker: a signal to the whole group (timeout, Slurm, Ctrl-C) is for the main process, which
    saves and then ends its workers; one that is not ended within a minute ends itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGTERM, _wait_for_the_main_process)


def _wait_for_the_main_process(_signum: int, _frame: object) -> None:
    """The second one is what the main process sends when it leaves."""
    signal.setitimer(signal.ITIMER_REAL, 60.0)
    signal.signal(signal.SIGTERM, lambda _signum, _frame: os._exit(0))


def is_out_of_memory(error: BaseException) -> bool:
    """CUDA's out of memory, or the CPU allocator's (a plain RuntimeError)."""
    import torch

    cuda = getattr(torch.cuda, "OutOfMemoryError", ())
    return isinstance(error, (MemoryError, cuda)) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )
