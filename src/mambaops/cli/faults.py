"""The last net under a command: whatever escapes it becomes a clear message and a documented exit code.

Nothing of ours but the errors is imported here: Ctrl-C and a broken pipe may come while the rest is imported.
"""

from __future__ import annotations

import atexit
import io
import os
import sys
from collections.abc import Callable
from types import TracebackType

FAULT = 70  # a fault of ours, as sysexits.h has it
INTERRUPTED = 130


def guarded(command: Callable[[], int]) -> int:
    """The exit status of a command; what it raises is told on stderr and turned into one."""
    _open_streams()
    try:
        status = command()
        _flush()
    except KeyboardInterrupt as error:
        # one of our own says which signal it was
        _tell(str(error) or "interrupted")
        return 128 + getattr(error, "number", INTERRUPTED - 128)
    except BrokenPipeError:
        return _reader_gone()
    except OSError as error:
        _tell(f"error: {of_the_system(error)}")
        _into_nothing()
        return 1
    except Exception as error:
        return fault(error)
    return status


def guarded_at_exit() -> None:
    """For a program that is not ours (Invoke's): what its own printing raises ends as with `guarded`.

    Called once, before it prints. Python runs the hook for what nobody caught, and then ends with 1: here with the
    status that is meant.
    """
    before = sys.excepthook

    def ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, OSError | KeyboardInterrupt):
            os._exit(_status_of(error))
        before(kind, error, trace)

    sys.excepthook = ended
    atexit.register(_flushed_at_exit)


def _flushed_at_exit() -> None:
    try:
        _flush()
    except OSError as error:
        os._exit(_status_of(error))


def _status_of(error: BaseException) -> int:
    def raised() -> int:
        raise error

    return guarded(raised)


def _open_streams() -> None:
    """Streams that take every character, and are there: a file that we open must not become stdout."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def fault(error: BaseException) -> int:
    """Nobody foresaw this error: one sentence, and a report that holds what is needed to find it."""
    import traceback

    trace = "".join(traceback.format_exception(error)).rstrip()
    try:
        from mambaops.cli.fault_report import write

        where = f"the report is {write(trace)}"
    except Exception as second:  # no place to write to, or the fault is everywhere
        _tell(trace)
        where = f"no report could be written ({second})"
    said = " ".join(f"{type(error).__name__}: {error}".split())
    _tell(f"error: this is a fault of mambaops, not of yours: {said}; {where}")
    return FAULT


def of_the_system(error: OSError) -> str:
    """What the system refused, and for which file."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def _reader_gone() -> int:
    """The reader of our output (`| head`) has gone: nothing is wrong."""
    _into_nothing()
    return 0


def _flush() -> None:
    """Now, while a full disk or a gone reader can still be told; Python's own flush at exit cannot."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def _tell(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        _into_nothing()  # nobody is left to tell


def _into_nothing() -> None:
    """What a stream cannot get rid of goes nowhere, instead of failing again at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
