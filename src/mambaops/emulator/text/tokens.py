"""PTX text to tokens."""

from __future__ import annotations

import bisect
import re
from functools import lru_cache
from typing import List, Tuple, Union

from ..errors import PtxError
from .syntax import Number

# .loc and .file have no semicolon; they say where a line came from and change nothing
_NOISE = re.compile(r"//[^\n]*|/\*.*?\*/|^[ \t]*\.(?:loc|file)\b[^\n]*", re.S | re.M)
_MARKS = frozenset("{}()[],;:<>=@!|+-*~&")
# names (with the dots of opcodes), numbers, texts, marks, and whatever else there is, to be refused
_TOKEN = re.compile(r'[A-Za-z_$%.](?:[\w$.]|::)*|\d[\w.]*(?:(?<=[eE])[+-]\d+)?|"[^"]*"|\S')


class Source:
    """A text without its comments, with the line of every place in it."""

    def __init__(self, text: str) -> None:
        self.text = _NOISE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)
        self._ends = [match.start() for match in re.finditer("\n", self.text)]

    def line(self, place: int) -> int:
        """Counted from 1."""
        return bisect.bisect_left(self._ends, place) + 1


def tokenize(source: Source) -> Tuple[List[str], List[int]]:
    """All tokens of a text, and where each begins.

    Raises:
        PtxError: a character that no token begins with.
    """
    matches = list(_TOKEN.finditer(source.text.rstrip("\0 \n")))
    words = [match.group() for match in matches]
    starts = [match.start() for match in matches]
    for word in set(words):
        if len(word) == 1 and not (word in _MARKS or word.isalnum() or word in "_$%."):
            place = starts[words.index(word)]
            rest = source.text[place:].split("\n", 1)[0].strip()
            raise PtxError("no token begins with {!r}".format(rest[:40]), source.line(place))
    return words, starts


@lru_cache(maxsize=4096)
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
