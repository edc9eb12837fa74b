"""PTX text to tokens."""

from __future__ import annotations

import bisect
import re
from typing import List, NamedTuple, Union

from ..errors import PtxError
from .syntax import Number

# .loc and .file have no semicolon; they say where a line came from and change nothing
_NOISE = re.compile(r"//[^\n]*|/\*.*?\*/|^[ \t]*\.(?:loc|file)\b[^\n]*", re.S | re.M)
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<name>[A-Za-z_$%.](?:[\w$.]|::)*)
    | (?P<number>\d[\w.]*(?:(?<=[eE])[+-]\d+)?)
    | (?P<text>"[^"]*")
    | (?P<mark>[{}()\[\],;:<>=@!|+\-*~&])
    )""",
    re.X,
)


class Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class Source:
    """A text without its comments, with the line of every place in it."""

    def __init__(self, text: str) -> None:
        self.text = _NOISE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)
        self._ends = [match.start() for match in re.finditer("\n", self.text)]

    def line(self, place: int) -> int:
        """Counted from 1."""
        return bisect.bisect_left(self._ends, place) + 1


def tokenize(source: Source) -> List[Token]:
    """All tokens of a text.

    Raises:
        PtxError: a character that no token begins with.
    """
    found, place, text = [], 0, source.text
    end = len(text.rstrip().rstrip("\0").rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None or match.end() == place:
            rest = text[place:end].split("\n", 1)[0].strip()
            raise PtxError("no token begins with {!r}".format(rest[:40]), source.line(place))
        kind = str(match.lastgroup)
        found.append(Token(kind, match.group(kind), match.start(kind), match.end()))
        place = match.end()
    return found


def number(text: str, line: int = 0) -> Number:
    """A constant as PTX writes it: 42, 0x2A, 052, 0b101, 1.5, 0f3F800000, 0d3FF0000000000000."""
    low = text.lower()
    try:
        if low.startswith("0f") and len(low) == 10:
            return Number(int(low[2:], 16), 32)
        if low.startswith("0d") and len(low) == 18:
            return Number(int(low[2:], 16), 64)
        return Number(_plain(low))
    except ValueError:
        raise PtxError("{!r} is no number".format(text), line) from None


def _plain(low: str) -> Union[int, float]:
    whole = low[:-1] if low.endswith("u") else low
    if whole.startswith(("0x", "0b")):
        return int(whole, 0)
    if whole.isdigit():
        return int(whole, 8) if whole[0] == "0" and len(whole) > 1 else int(whole)
    return float(low)
