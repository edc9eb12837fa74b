"""How a command talks: what is wanted of it (JSON, quiet, verbose), and the one place that prints.

stdout is data, stderr is talk. Imports nothing that takes time: `--list` stands on it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from mambaops.cli.call import pasted
from mambaops.core.errors import MambaopsError

# what the command line asked of the command that runs; `command` is its name, part of the schema's
WANTED = SimpleNamespace(command="", json=False, quiet=False, verbose=False, told=False)


def begin(command: str, *, json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
    """A command begins, with what is wanted of its output."""
    WANTED.__dict__.update(command=command, json=json, quiet=quiet, verbose=verbose, told=False)


def say(text: str) -> None:
    """A line for the person, on stderr; none with --quiet. Nobody need be there to read it.

    The commands in it work when they are pasted.
    """
    if not WANTED.quiet:
        _to_stderr(pasted(text))


def relay(text: str) -> None:
    """A line of another program, on stderr as it is: its commands are not for this shell."""
    if not WANTED.quiet:
        _to_stderr(text)


def _to_stderr(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        # the reader of our talk has gone, or its disk is full: the work goes on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def say_error(error: MambaopsError) -> None:
    """What went wrong: for the person, and with --json as the document that the program waits for."""
    message, hint = pasted(error.message), pasted(error.hint)
    _to_stderr(f"error: {message}")
    if hint:
        _to_stderr(f"\nhint: {hint}")
    if WANTED.json and not WANTED.told:
        emit_json(
            {
                "schema": "mambaops/error/1",
                "error": {
                    "code": error.exit_code,
                    "message": message,
                    "hint": hint,
                },
            }
        )


def emit(value: Any, *, as_json: bool, text: Callable[[Any], str], rows: str = "") -> None:
    """Print a result on stdout: as JSON, or as the text that `text` makes of it.

    Args:
        rows: the key that a list stands under in the JSON document, which is always an object.
    """
    if not as_json:
        put(text(value))
        return
    emit_json(with_schema(value, rows))


def with_schema(value: Any, rows: str = "") -> dict[str, Any]:
    """A result as the JSON object that is printed: `schema` first, then what the result holds."""
    import msgspec

    plain = msgspec.to_builtins(value, enc_hook=str)
    if not isinstance(plain, Mapping):
        plain = {rows or "items": plain}
    return {"schema": f"mambaops/{WANTED.command}/1", **plain}


def emit_json(document: Mapping[str, Any]) -> None:
    """One document on stdout; a command has only one."""
    WANTED.told = True
    put(to_json(document))


def to_json(value: Any) -> str:
    """Any of our records (msgspec structs, dataclasses, plain values) as indented JSON."""
    import msgspec

    try:
        encoded = msgspec.json.encode(value, enc_hook=str)
        text = msgspec.json.format(encoded, indent=2).decode()
    except UnicodeEncodeError:  # a path's bytes that are no UTF-8: only escapes can say them
        import json

        text = json.dumps(msgspec.to_builtins(value, enc_hook=str), indent=2)
    return text if _speaks_utf8() else _escaped(text)


def to_python(text: str) -> Any:
    """What a program of ours printed as JSON.

    Raises:
        MambaopsError: it is none.
    """
    import json

    try:
        return json.loads(text)
    except ValueError as error:
        raise MambaopsError(f"no JSON came back, but: {text[:200] or 'nothing'}") from error


def _speaks_utf8() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"


def _escaped(text: str) -> str:
    """The same JSON in ASCII, for a stdout that has no other letters."""
    import json

    return json.dumps(json.loads(text), indent=2)


def put(text: str, *, end: str = "\n") -> None:
    """Text on stdout, now. A reader that has gone (`| head`) takes nothing from what was done."""
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def coloured() -> bool:
    """Does stdout's terminal show colour, and does nobody mind (NO_COLOR)?"""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not plain and sys.stdout is not None and sys.stdout.isatty()
