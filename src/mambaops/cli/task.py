"""What every task shares: errors without tracebacks, exit codes, one place that prints.

stdout is data, stderr is talk. A task is a few lines: it calls the package and hands the result here.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

from invoke import Exit
from invoke import task as invoke_task

from mambaops.cli.mirrors import use_mirrors
from mambaops.core.errors import MambaopsError


def task(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Like `invoke.task`, with our errors shown as text and turned into their exit codes.

    The wrapped function may return an int: it becomes the exit status (None and 0 are success).
    """

    def decorate(body: Callable[..., Any]) -> Any:
        return invoke_task(**options)(_guarded(body))

    return decorate


def _guarded(body: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(body)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            use_mirrors()
            status = body(*args, **kwargs)
        except MambaopsError as error:
            say_error(error)
            raise Exit(code=error.exit_code) from error
        except KeyboardInterrupt:
            say("interrupted")
            raise Exit(code=130) from None
        except BrokenPipeError:
            # the reader of our stdout (`| head`) has gone: nothing is wrong
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise Exit(code=0) from None
        if isinstance(status, int) and status:
            raise Exit(code=status)
        return status

    return guarded


def say(text: str) -> None:
    """A line for the person, on stderr."""
    print(text, file=sys.stderr, flush=True)


def say_error(error: MambaopsError) -> None:
    say(f"error: {error.message}")
    if error.hint:
        say(f"\nhint: {error.hint}")


def emit(value: Any, *, as_json: bool, text: Callable[[Any], str]) -> None:
    """Print a result on stdout: as JSON, or as the text that `text` makes of it."""
    print(to_json(value) if as_json else text(value), flush=True)


def to_json(value: Any) -> str:
    """Any of our records (msgspec structs, dataclasses, plain values) as indented JSON."""
    import msgspec

    encoded = msgspec.json.encode(value, enc_hook=str)
    return msgspec.json.format(encoded, indent=2).decode()
