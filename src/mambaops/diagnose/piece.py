"""A stretch of a log, about a megabyte, with what stands before and after it: lines around a place."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from mambaops.diagnose.dress import undressed
from mambaops.diagnose.text import bare

WINDOW = 1500  # characters that an expression sees before and after a needle
NEAR = 6000  # characters before and after, for what must stand close by
SHOWN = 400  # characters of a line that are kept


@dataclass(frozen=True)
class Piece:
    """Text that ends at a line end, the text around it, and the number of its first line."""

    before: str
    text: str
    after: str
    first_number: int

    @functools.cached_property
    def returns(self) -> bool:
        """Whether a line is drawn over another one."""
        return "\r" in self.text

    def number(self, position: int) -> int:
        return self.first_number + self.text.count("\n", 0, position)

    def bounds(self, position: int) -> tuple[int, int]:
        """Where the line around `position` begins and ends (`\\r` ends one too, a window cuts it)."""
        text = self.text
        low = position - WINDOW if position > WINDOW else 0
        start, end = (
            text.rfind("\n", low, position) + 1,
            text.find("\n", position, position + WINDOW),
        )
        if end < 0:
            end = min(len(text), position + WINDOW)
        if self.returns:
            start = max(start, text.rfind("\r", low, position) + 1)
            end = text.find("\r", position, end) if "\r" in text[position:end] else end
        return start or low, end

    def above(self, start: int) -> str:
        """What stands before a place, as far as it counts."""
        early = self.text[max(0, start - NEAR) : start]
        return self.before[len(early) - NEAR or len(self.before) :] + early

    def below(self, end: int) -> str:
        """What stands after a place."""
        return self.text[end : end + NEAR] + self.after

    def stands_near(self, regex: re.Pattern[str], start: int, end: int) -> bool:
        """Whether the expression matches close to a line; where it matches next is kept for the lines to come."""
        low, high = start - NEAR, end + NEAR
        if low >= 0 and high <= len(self.text):
            looked_from, first = self._next.get(regex, (high, low))
            if not looked_from <= low <= first:
                match = regex.search(self.text, low)
                first = match.start() if match else len(self.text)
                self._next[regex] = low, first
            if first >= high:
                return False
        return bool(regex.search(self.around(start, end)))

    @functools.cached_property
    def _next(self) -> dict[re.Pattern[str], tuple[int, int]]:
        """From where an expression was searched, and where it stood first."""
        return {}

    def around(self, start: int, end: int) -> str:
        return self.above(start) + "\n" + self.below(end)

    def lines(self, start: int, end: int, span: int) -> str:
        """The line and, for a larger `span`, as many after it."""
        if span == 1:
            return self.text[start:end]
        return self.text[start:end] + "\n".join(self._rest(end, span))

    def undressed(self, start: int, end: int, span: int) -> str:
        """The same without the prefix that a runner put before each of them."""
        lines = [self.text[start:end], *self._rest(end, span)[1:]]
        return "\n".join(undressed(lines, self.neighbours(start, end)))

    def _rest(self, end: int, span: int) -> list[str]:
        rest = (self.text[end : end + span * WINDOW] + self.after).replace("\r\n", "\n")
        return rest.split("\n")[:span]

    def neighbours(self, start: int, end: int, count: int = 4) -> list[str]:
        """Lines before and after one."""
        early = self.text[max(0, start - WINDOW) : start].split("\n")[-count - 1 : -1]
        return early + self.text[end : end + WINDOW].split("\n")[1 : count + 1]


def around(line: str, start: int, end: int) -> str:
    """A line for reading: what matched and what stands beside it, a long one cut on both sides."""
    plain = bare(line)
    if len(plain) <= SHOWN:
        return plain
    frame = len(line.rstrip()) - len(plain)
    start, end = start - frame, min(end, start + SHOWN) - frame
    low = max(0, min(start, len(plain)) - (SHOWN - (end - start)) // 2)
    high = low + SHOWN
    return ("…" if low else "") + plain[low:high].strip() + ("…" if high < len(plain) else "")
