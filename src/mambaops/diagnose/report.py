"""The report of a failure that nobody knows: one text file to hand to somebody, with nothing private in it."""

from __future__ import annotations

import getpass
import platform
import socket
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from mambaops.core.files import write_text
from mambaops.diagnose.explain import Explanation
from mambaops.diagnose.reading import log_of
from mambaops.diagnose.redaction import mask
from mambaops.facts.model import Facts

HEAD = b"## mambaops\n"
TAIL = 200  # lines of the log's end
AROUND = 30  # lines before and after the first error


def write_report(
    target: Path, explanation: Explanation, *, facts: Facts | None, plan: str = "", log: Path | None
) -> Path:
    """Write the report aside and put it in its place.

    Args:
        facts: the machine, if known.
        plan: text of the plan that was being carried out, if any.
        log: the log file; None for a pipe, whose text is gone.
    """
    parts = [
        ("mambaops", _versions()),
        ("what was recognised", explanation.text()),
        ("around the first error", _around(log, explanation.diagnosis.first_error_line_number)),
        ("end of the log", _tail(log)),
        ("plan", plan or "not given"),
        ("facts", _facts(facts)),
    ]
    text = "\n".join(f"## {title}\n\n{body.rstrip()}\n" for title, body in parts)
    return write_text(target, mask(text, private_words()))


def is_report(path: Path) -> bool:
    """Whether a file is one that `write_report` has written."""
    try:
        with path.open("rb") as file:
            return file.read(len(HEAD)) == HEAD
    except OSError:
        return False


def _versions() -> str:
    from importlib.metadata import version

    return (
        f"mambaops {version('mambaops')}, Python {platform.python_version()}, {platform.platform()}"
    )


def private_words() -> list[str]:
    """The user's and the machine's name, as far as they are known."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        user = ""
    return [word for word in (user, socket.gethostname()) if word]


def _lines(log: Path) -> Iterable[str]:
    for piece in log_of(log).pieces():
        yield from piece.splitlines()


def _tail(log: Path | None) -> str:
    if log is None:
        return "the log came through a pipe and is not kept"
    return "\n".join(line[:2000] for line in deque(_lines(log), maxlen=TAIL))


def _around(log: Path | None, number: int | None) -> str:
    if log is None or number is None:
        return "no error line was found" if number is None else "the log is not kept"
    rows: list[str] = []
    for count, line in enumerate(_lines(log), start=1):
        if count > number + AROUND:
            break
        if count >= number - AROUND:
            rows.append(f"{count}: {line[:2000]}")
    return "\n".join(rows)


def _facts(facts: Facts | None) -> str:
    if facts is None:
        return "not given (`mambaops facts --json`)"
    import msgspec

    return msgspec.json.format(msgspec.json.encode(facts), indent=1).decode()
