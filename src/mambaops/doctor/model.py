"""A check and its outcome."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from mambaops.facts.model import Facts
from mambaops.profiles.model import Profile

State = Literal["ok", "warning", "failed", "skipped"]
AREAS = (
    "driver",
    "GPU",
    "toolkit",
    "compiler",
    "Python",
    "torch",
    "packages",
    "disk and memory",
    "network and mirrors",
    "WSL",
    "models",
)
GIB = 1 << 30


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One finding about a machine.

    Attributes:
        id: which finding it is, for programs; the texts may change.
        what: the state in a few words, for a line of its own.
        cause: why that matters; empty when all is well.
        remedy: a command where there is one.
        machine: only another machine, driver or system can put it right: mambaops never will.
        repair: the name of a safe repair that `doctor --fix` carries out (see `repair.py`).
        answers: ids of findings that were guessed from facts and that this look makes superfluous.
    """

    id: str
    area: str
    state: State
    what: str
    cause: str = ""
    remedy: str = ""
    machine: bool = False
    repair: str = ""
    answers: list[str] = []


Examiner = Callable[[Facts, Profile | None], Iterator[Check]]


def pip(facts: Facts, *words: str) -> str:
    """The command that installs into the very environment that was looked at."""
    python = shlex.quote(facts.python.executable)
    uv = "pip" not in facts.distributions and "uv" in facts.tools
    start = f"uv pip install --python {python}" if uv else f"{python} -m pip install"
    return f"`{start} {shlex.join(words)}`"


def release(text: str | None) -> tuple[int, ...]:
    """The leading numbers of a version, `12.8` or `2.6.0+cu124`; () when there are none."""
    numbers: list[int] = []
    for part in (text or "").split("+")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)


def minor(text: str | None) -> str:
    """`12.8.93` -> `12.8`; empty for None."""
    return ".".join((text or "").split("+")[0].split(".")[:2])


def size(amount: int | None) -> str:
    """Bytes for reading: `3.2 GiB`."""
    return "unknown" if amount is None else f"{amount / GIB:.1f} GiB"
