"""How a log ends: well, badly, or without saying.

Only the end can show success: a line that a tool prints when it is through, with nothing after it but what
tools add then (notices, times, cleaning up, a prompt). `failures.yaml` has both as `endings` and `trailing`.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Literal

from mambaops.diagnose.rules import Ending, load
from mambaops.diagnose.text import bare

LOOKED_AT = 120  # lines of the end that may trail a good end

# what makes of a good end none, e.g. `setup.py did not run successfully`, `build finished: 3 failed`
_DENIED = re.compile(
    r"(?i)\b(?:not|never|cannot|\w+n['’]t|unsuccessful\w*|incomplete)\b"
    r"|(?<!\bno )(?<!\b0 )(?<!\bwithout )\b(?:failed|failures?|errors?)\b"
)

Outcome = Literal["good", "bad", "open"]


@dataclass(frozen=True, slots=True)
class End:
    """The end of a log.

    Attributes:
        line: what shows it, "" for `open`.
        names: packages that it speaks of, normalised.
        covers: of what it tells: of everything before it, of packages, or of nothing but what it names itself.
    """

    outcome: Outcome = "open"
    line: str = ""
    names: frozenset[str] = frozenset()
    covers: Literal["all", "packages", "itself"] = "all"


NO_END = End()


def end_of(lines: list[str]) -> End:
    """How these last lines of a log end."""
    names: set[str] = set()
    for line in reversed(lines[-LOOKED_AT:]):
        plain = bare(line.rstrip("\r").rpartition("\r")[2])
        ending, match = _ending(plain)
        if ending is None or match is None:
            if plain and not _trailing().search(plain):
                break
            continue
        if _is_free(ending) and _DENIED.search(plain):
            break
        names |= names_in(match.groupdict().get("names") or "")
        if ending.covers != "part":
            if ending.covers == "failure":
                return End("bad", plain, frozenset(names))
            return End("good", plain, frozenset(names), ending.covers)
    return NO_END


def _is_free(ending: Ending) -> bool:
    """It finds words of success anywhere in a line, and not a line that a tool always prints alike."""
    return ending.covers == "all" and not ending.regex.startswith("^")


def names_in(text: str) -> set[str]:
    """`mamba_ssm-2.2.4 x-1` and `x==1` -> the packages' names as indexes write them."""
    words = re.split(r"[\s,]+", text.strip())
    return {_name(word) for word in words if word}


def _name(word: str) -> str:
    bare_name = re.split(r"[=<>!~@\[;(]|-\d", word, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", bare_name).lower()


def _ending(line: str) -> tuple[Ending | None, re.Match[str] | None]:
    for ending, regex in _endings():
        match = regex.search(line)
        if match:
            return ending, match
    return None, None


@functools.cache
def _endings() -> list[tuple[Ending, re.Pattern[str]]]:
    return [(ending, re.compile(ending.regex)) for ending in load().endings]


@functools.cache
def _trailing() -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{regex})" for regex in load().trailing))
