"""One pass over a log: what of the catalogue stands where, and which line is the first error.

The text comes in pieces of about a megabyte that end at line ends. Each piece is searched for the needles
of all rules; only around a needle is an expression tried, on at most `WINDOW` characters. So the time grows
with the length of the log and not with what is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mambaops.diagnose import first_error
from mambaops.diagnose.rules import Probe, probes
from mambaops.diagnose.text import bare, without_colours

WINDOW = 1500  # characters that an expression sees before and after a needle
NEAR = 6000  # characters before and after, for what must stand close by
HITS_PER_RULE = 3  # the first ones; more tell nothing
TRIES_PER_PROBE = 20000  # so that a log that is full of one needle stays cheap
DULL_LINES = 5000  # kept per needle, so that a line that comes a million times is looked at once
SHOWN = 400  # characters of a line that are kept

# what a runner, a shell or a person adds after the last word of the program that was watched
_AFTERWARDS = re.compile(
    r"^(?:# exit -?\d+ after|\^C|Terminated|Aborted|KeyboardInterrupt|ERROR: Operation cancelled)"
)


@dataclass(frozen=True, slots=True)
class Hit:
    """A pattern of a rule (or a signal) in a line; numbers count from 1."""

    name: str
    line: str
    number: int
    groups: dict[str, str]


@dataclass(slots=True)
class Scan:
    """What one pass found."""

    hits: dict[str, list[Hit]] = field(default_factory=dict)
    first_error: str | None = None
    first_error_number: int | None = None
    lines: int = 0
    last_line: str = ""
    last_number: int = 0


@dataclass(frozen=True, slots=True)
class _Piece:
    before: str
    text: str
    after: str
    first_number: int

    def number(self, position: int) -> int:
        return self.first_number + self.text.count("\n", 0, position)

    def bounds(self, position: int) -> tuple[int, int]:
        """Where the line around `position` begins and ends (`\\r` ends one too, a window cuts it)."""
        text = self.text
        low, high = max(0, position - WINDOW), min(len(text), position + WINDOW)
        start = max(text.rfind("\n", low, position), text.rfind("\r", low, position)) + 1
        ends = [
            at
            for at in (text.find("\n", position, high), text.find("\r", position, high))
            if at >= 0
        ]
        return max(start, low), min(ends, default=high)

    def around(self, start: int, end: int) -> str:
        early = self.text[max(0, start - NEAR) : start]
        late = self.text[end : end + NEAR]
        return (
            self.before[len(early) - NEAR or len(self.before) :] + early + "\n" + late + self.after
        )

    def lines(self, start: int, end: int, span: int) -> str:
        if span == 1:
            return self.text[start:end]
        rest = (self.text[end : end + span * WINDOW] + self.after).replace("\r\n", "\n")
        return self.text[start:end] + "\n".join(rest.split("\n")[:span])


def scan(pieces: Iterable[str]) -> Scan:
    """Look through a log, given in pieces that end at line ends."""
    state = _Scanner()
    for piece in _with_context(pieces):
        state.look(piece)
    return state.finish()


def _with_context(pieces: Iterable[str]) -> Iterator[_Piece]:
    before, current, number = "", "", 1
    for coming in pieces:
        clean = without_colours(coming)
        if current:
            yield _Piece(before, current, clean[:NEAR], number)
            number += current.count("\n")
            before = (before + current)[-NEAR:] if len(current) < NEAR else current[-NEAR:]
        current = clean
    if current:
        yield _Piece(before, current, "", number)


class _Scanner:
    def __init__(self) -> None:
        self.found = Scan()
        self.tries: dict[int, int] = {}
        # lines that were looked at and told nothing: long logs repeat themselves
        self.dull: dict[str, set[str]] = {}
        table = probes()
        self.at_end = [p for group in table.values() for p in group if p.pattern.at_end]
        running = {n: [p for p in g if not p.pattern.at_end] for n, g in table.items()}
        self.active = {needle: group for needle, group in running.items() if group}

    def look(self, piece: _Piece) -> None:
        for needle in list(self.active):
            self._search(piece, needle)
        if self.found.first_error is None:
            self._first_error(piece)
        self._remember_end(piece)

    def _search(self, piece: _Piece, needle: str) -> None:
        dull = self.dull.setdefault(needle, set())
        position = piece.text.find(needle)
        while position >= 0:
            start, end = piece.bounds(position)
            line = piece.text[start:end]
            if line not in dull:
                tried = [self._try(probe, piece, start, end) for probe in self.active[needle]]
                if any(tried) and self._spent(needle):
                    return
                if not any(tried) and len(dull) < DULL_LINES:
                    dull.add(line)
            position = piece.text.find(needle, max(end, position + len(needle)))

    def _try(self, probe: Probe, piece: _Piece, start: int, end: int) -> bool:
        """Whether the expression matched (what must stand near it may still be missing)."""
        match = probe.regex.search(piece.lines(start, end, probe.pattern.span))
        if match is None:
            return probe.pattern.span > 1
        self.tries[id(probe)] = self.tries.get(id(probe), 0) + 1
        if probe.near is not None and not probe.near.search(piece.around(start, end)):
            return True
        groups = {name: value for name, value in match.groupdict().items() if value}
        line = bare(piece.text[start:end])[:SHOWN]
        self.found.hits.setdefault(probe.name, []).append(
            Hit(probe.name, line, piece.number(start), groups)
        )
        return True

    def _spent(self, needle: str) -> bool:
        """Drop the probes that have told what they can; True when the needle needs no more search."""
        hits = self.found.hits
        left = [
            probe
            for probe in self.active[needle]
            if len(hits.get(probe.name, ())) < HITS_PER_RULE
            and self.tries.get(id(probe), 0) < TRIES_PER_PROBE
        ]
        if left:
            self.active[needle] = left
        else:
            del self.active[needle]
        return not left

    def _first_error(self, piece: _Piece) -> None:
        best = len(piece.text)
        for mark in first_error.MARKS:
            position = piece.text.find(mark, 0, best)
            while position >= 0:
                start, end = piece.bounds(position)
                if self._is_error(piece.text[start:end]):
                    best = start
                    self.found.first_error = bare(piece.text[start:end])[:SHOWN]
                    self.found.first_error_number = piece.number(start)
                    break
                position = piece.text.find(mark, max(end, position + len(mark)), best)

    def _is_error(self, line: str) -> bool:
        dull = self.dull.setdefault("", set())
        if line in dull:
            return False
        if first_error.is_real_error(line):
            return True
        if len(dull) < DULL_LINES:
            dull.add(line)
        return False

    def _remember_end(self, piece: _Piece) -> None:
        self.found.lines = piece.first_number + piece.text.count("\n") - piece.text.endswith("\n")
        for back, line in enumerate(reversed(piece.text[-NEAR:].rstrip().split("\n"))):
            plain = bare(line.rstrip("\r").rsplit("\r", 1)[-1])
            if plain and not _AFTERWARDS.match(plain):
                ended = piece.first_number + piece.text.rstrip().count("\n")
                self.found.last_line, self.found.last_number = plain[-WINDOW:], ended - back
                return

    def finish(self) -> Scan:
        for probe in self.at_end:
            match = probe.regex.search(self.found.last_line)
            if match:
                groups = {name: value for name, value in match.groupdict().items() if value}
                hit = Hit(probe.name, self.found.last_line[:SHOWN], self.found.last_number, groups)
                self.found.hits.setdefault(probe.name, []).append(hit)
        return self.found
