"""One pass over a log: what of the catalogue stands where, and which line is the first error.

The text comes in pieces of about a megabyte that end at line ends. Each piece is searched for the needles
of all rules at once; only around a needle is an expression tried, on at most `WINDOW` characters. So the time grows
with the length of the log and not with what is in it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from ahocorasick_rs import AhoCorasick, Implementation

from mambaops.diagnose import first_error
from mambaops.diagnose.attempts import START, Attempts
from mambaops.diagnose.echoed import is_quoted, is_shown_text
from mambaops.diagnose.ending import NO_END, End, end_of, names_in
from mambaops.diagnose.error_search import ErrorSearch
from mambaops.diagnose.piece import NEAR, SHOWN, WINDOW, Piece, around
from mambaops.diagnose.rules import Probe, gates, load, probes
from mambaops.diagnose.text import bare, shape, sound, without_colours

END = 60_000  # characters of the log's end that are kept, to see how it ended
HITS_PER_RULE = 3  # the first ones; more tell nothing
TRIES_PER_PROBE = 20000  # so that a log that is full of one needle stays cheap
MANY = 5_000
DULL_LINES = 20_000  # kept, so that a line that comes a million times is looked at once
# a line that announces another try reports no failure
RETRIES = re.compile(r"(?i)\bretry(?:ing)?\b|\btry(?:ing)? again\b|\battempt \d+")

# what a runner, a shell or a person adds after the last word of the program that was watched
_AFTERWARDS = re.compile(
    r"^(?:# exit -?\d+ after|\^C|Terminated|Aborted|KeyboardInterrupt|ERROR: Operation cancelled)"
)
# how pip and uv begin
BEGINNINGS = frozenset(
    ("Collecting ", "Looking in indexes", "Obtaining ", "Processing ", "Resolved ")
)
_BEGUN = re.compile(
    r".{0,80}?(?:Collecting |Looking in indexes|Obtaining |Processing \S*(?:/|\.whl)|Resolved \d)"
)
NAMED = frozenset(
    ("Failed building ", "Failed to build", "No matching distribution", "Could not build wheels")
)
# what a word of a line is for
NEEDLE, MARK, NAME, BEGINNING, ATTEMPT = 1, 2, 4, 8, 16
# what a line with a mark may be: a mark without one of these tells nothing, nor does one of these without a mark
WRAPPING, INSIDE, STARTS = 32, 64, 128
HINTS = WRAPPING | INSIDE | STARTS
TRACEBACK = first_error.TRACEBACK
MARKS = frozenset((*first_error.MARKS, TRACEBACK))


@dataclass(frozen=True, slots=True)
class Hit:
    """A pattern of a rule (or a signal) in a line; numbers count from 1."""

    name: str
    line: str
    number: int
    groups: dict[str, str]


@dataclass(slots=True)
class Scan:
    """What one pass found.

    Attributes:
        retries: hits in lines that announce another try.
        first_error: the first line that reports an error, with its number; `wrapper` the first that only says so.
        begun: the number of the line with which the installer began, 0 for none.
        tried_again: something was begun again after it had failed; what was said of the first tries is in `retries`.
        failed_names: packages of which the log says that they could not be had or built.
    """

    hits: dict[str, list[Hit]] = field(default_factory=dict)
    retries: dict[str, list[Hit]] = field(default_factory=dict)
    tried_again: bool = False
    first_error: str | None = None
    first_error_number: int | None = None
    wrapper: tuple[str, int] | None = None
    failed_names: set[str] = field(default_factory=set)
    begun: int = 0
    end: End = NO_END
    lines: int = 0
    last_line: str = ""
    last_number: int = 0


def scan(pieces: Iterable[str]) -> Scan:
    """Look through a log, given in pieces that end at line ends."""
    state = _Scanner()
    for piece in _with_context(pieces):
        state.look(piece)
    return state.finish()


def _with_context(pieces: Iterable[str]) -> Iterator[Piece]:
    before, current, number = "", "", 1
    for coming in pieces:
        clean = without_colours(coming)
        if current:
            yield Piece(before, current, clean[:NEAR], number)
            number += current.count("\n")
            before = (before + current)[-NEAR:] if len(current) < NEAR else current[-NEAR:]
        current = clean
    if current:
        yield Piece(before, current, "", number)


class _Scanner:
    def __init__(self) -> None:
        self.found = Scan()
        self.tries: dict[int, int] = {}
        # lines that were looked at and told nothing: long logs repeat themselves
        self.dull: set[str] = set()
        self.active = running()
        self.errors = ErrorSearch()
        self.attempts = Attempts()
        self.tail = ""

    def look(self, piece: Piece) -> None:
        # what is not looked at tells nothing either, and is one line to know when it comes again
        learning = len(self.dull) < DULL_LINES
        lines = _lines_with_words(piece, self._without_dull(piece), self._role, learning)
        for start, end, needles, roles in lines:
            self._line(piece, start, end, needles, roles)
        self.errors.end_of_piece()
        self._remember_end(piece)

    def _without_dull(self, piece: Piece) -> str:
        """The text in which lines are blank that told nothing when others like them came by."""
        if len(self.dull) < MANY:
            return piece.text
        lines = zip(piece.text.split("\n"), shape(piece.text).split("\n"), strict=True)
        return "\n".join(" " * len(line) if like in self.dull else line for line, like in lines)

    def _role(self, word: str) -> int:
        """What a line with this word can still tell, 0 for nothing."""
        # what was known may be withdrawn where something is begun again
        known = running() if self.attempts else self.active
        role = NEEDLE if word in known else 0
        role |= NAME if word in NAMED else 0
        role |= ATTEMPT if word == START else 0
        role |= BEGINNING if word in BEGINNINGS else 0
        if self.errors.error is None or self.attempts:
            role |= MARK if word in MARKS else 0
            role |= WRAPPING if word in first_error.WRAPPER_WORDS else 0
            role |= INSIDE if word in first_error.INSIDE_WORDS else 0
            role |= STARTS if word in first_error.START_WORDS or word == TRACEBACK else 0
        return role

    def _line(self, piece: Piece, start: int, end: int, needles: set[str], roles: int) -> None:
        line = piece.text[start:end]
        # after thousands of lines that told nothing, those that differ in their numbers alone are one
        learning = len(self.dull) < DULL_LINES
        key = "" if not learning else line if len(self.dull) < MANY else shape(line)
        if learning and key in self.dull:
            return
        told = False
        for needle in needles:
            told |= self._needle(piece, start, end, needle)
        if roles & ATTEMPT:
            told = True
            self._tried(line, piece.number(start))
        # of a longer line the words around each place were seen alone
        hints = roles if end - start < WINDOW else HINTS
        if roles & MARK and hints & HINTS:
            told |= self.errors.look(
                piece, start, end, wraps=bool(hints & WRAPPING), inside=bool(hints & INSIDE)
            )
        if roles & NAME:
            told |= self._named(line)
        if roles & BEGINNING and not self.found.begun and _BEGUN.match(line):
            self.found.begun = piece.number(start)
        # of a line that is longer only a part was looked at
        if not told and learning and end - start < WINDOW:
            self.dull.add(key)

    def _needle(self, piece: Piece, start: int, end: int, needle: str) -> bool:
        """Try the expressions of a needle; whether one matched, perhaps without what must stand near it."""
        line = piece.text[start:end]
        likely = [
            probe
            for probe in self.active.get(needle, ())
            if probe.also in line and (probe.pattern.span > 1 or probe.regex.search(line))
        ]
        if not likely:
            return False
        tried = [self._try(probe, piece, start, end) for probe in likely]
        if any(tried):
            self._spend(needle)
        return any(tried)

    def _try(self, probe: Probe, piece: Piece, start: int, end: int) -> bool:
        """Whether the expression matched (what must stand near it may still be missing)."""
        match = probe.regex.search(piece.lines(start, end, probe.pattern.span))
        if match is None and probe.pattern.span > 1:
            match = probe.regex.search(piece.undressed(start, end, probe.pattern.span))
        if match is None:
            return probe.pattern.span > 1
        self.tries[id(probe)] = self.tries.get(id(probe), 0) + 1
        if probe.near is not None and not piece.stands_near(probe.near, start, end):
            return True
        if probe.rule is None or not self._is_quoted(piece, start, end, match):
            self._keep(probe, piece, start, end, match)
        return True

    def _is_quoted(self, piece: Piece, start: int, end: int, match: re.Match[str]) -> bool:
        line = piece.text[start:end]
        return is_quoted(line, match.start(), min(match.end(), len(line))) or is_shown_text(
            piece.above(start)
        )

    def _keep(self, probe: Probe, piece: Piece, start: int, end: int, match: re.Match[str]) -> None:
        groups = {name: value for name, value in match.groupdict().items() if value}
        if probe.rule is not None and probe.rule.table == "api":
            groups |= importer(piece.above(start))
        line = piece.text[start:end]
        shown = around(line, match.start(), min(match.end(), len(line)))
        hit = Hit(probe.name, shown, piece.number(start), groups)
        kept = self.found.retries if RETRIES.search(line) else self.found.hits
        kept.setdefault(probe.name, []).append(hit)

    def _spend(self, needle: str) -> None:
        """Drop the probes that have told what they can."""
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

    def _named(self, line: str) -> bool:
        found = [match for regex in named_failures() if (match := regex.search(line))]
        for match in found:
            self.found.failed_names.update(names_in(match["names"]))
        return bool(found)

    def _tried(self, line: str, number: int) -> None:
        """Withdraw what git said of tries at the same place, if this begins another one."""
        begun = self.attempts.first(line, number)
        if not begun:
            return
        self.active = running()
        withdrawn = self.errors.withdraw(begun, self.attempts.is_gits)
        for name, hits in self.found.hits.items():
            old = [hit for hit in hits if hit.number >= begun and self.attempts.is_gits(hit.line)]
            self.found.retries.setdefault(name, []).extend(old)
            hits[:] = [hit for hit in hits if hit not in old]
            withdrawn |= bool(old)
        self.found.hits = {name: hits for name, hits in self.found.hits.items() if hits}
        self.found.tried_again |= withdrawn

    def _remember_end(self, piece: Piece) -> None:
        self.found.lines = piece.first_number + piece.text.count("\n") - piece.text.endswith("\n")
        tail = self.tail + piece.text[-END:]
        self.tail = tail[-END:]
        for back, line in enumerate(reversed(piece.text[-NEAR:].rstrip().split("\n"))):
            plain = bare(line.rstrip("\r").rpartition("\r")[2])
            if plain and not _AFTERWARDS.match(plain):
                ended = piece.first_number + piece.text.rstrip().count("\n")
                self.found.last_line, self.found.last_number = plain[-WINDOW:], ended - back
                return

    def finish(self) -> Scan:
        for probe in _at_end():
            match = probe.regex.search(self.found.last_line)
            if match:
                groups = {name: value for name, value in match.groupdict().items() if value}
                hit = Hit(probe.name, self.found.last_line[:SHOWN], self.found.last_number, groups)
                self.found.hits.setdefault(probe.name, []).append(hit)
        self.found.end = end_of(self.tail.replace("\r\n", "\n").split("\n"))
        self.errors.end_of_log()
        self.found.wrapper = self.errors.wrapper
        if self.errors.error is not None:
            self.found.first_error, self.found.first_error_number = self.errors.error
        return self.found


_PACKAGE = re.compile(r"(?:site|dist)-packages[/\\](\w{1,60})[/\\.]")


def importer(above: str) -> dict[str, str]:
    """The package whose code the last frame of a traceback shows, as the group `user`."""
    found = _PACKAGE.findall(above[-WINDOW:])
    return {"user": found[-1]} if found else {}


def running() -> dict[str, list[Probe]]:
    """The expressions that are tried while the log passes by, by their needle."""
    found = {n: [p for p in group if not p.pattern.at_end] for n, group in probes().items()}
    return {needle: group for needle, group in found.items() if group}


def _at_end() -> list[Probe]:
    return [p for group in probes().values() for p in group if p.pattern.at_end]


@functools.cache
def _words() -> tuple[list[str], AhoCorasick]:
    """Every word whose line is looked at, and what finds all of them at once."""
    hints = sorted(first_error.WRAPPER_WORDS | first_error.INSIDE_WORDS | first_error.START_WORDS)
    words = list(dict.fromkeys((*running(), *MARKS, *NAMED, *BEGINNINGS, START, *hints)))
    return words, AhoCorasick(words, implementation=Implementation.DFA)


def _lines_with_words(
    piece: Piece, text: str, role: Callable[[str], int], learning: bool
) -> Iterator[tuple[int, int, set[str], int]]:
    """The lines that hold words that matter: where they begin and end, the needles among the words, all roles.

    Args:
        text: the piece's own, some lines of which may be blank.
        role: what a word is for, 0 when it does not matter.
        learning: lines whose mark cannot tell anything are wanted, too.
    """
    words, search = _words()
    roles = [role(word) for word in words]
    gate_of = [] if piece.returns else [gates().get(word) for word in words]
    start = end = limit = -1
    needles: set[str] = set()
    held = 0
    # some words end with the line
    whole = sound(text) if text.endswith("\n") else sound(text) + "\n"
    for index, position, _ in search.find_matches_as_indexes(whole, overlapping=True):
        found = roles[index]
        gate = gate_of[index] if gate_of and found & NEEDLE else None
        if gate is not None and not gate.match(text, position):
            found &= ~NEEDLE
        if not found:
            continue
        if position >= limit:
            if _tells(held, end - start, learning):
                yield start, end, needles, held
            start, end = piece.bounds(position)
            # a line that is longer than what is looked at counts around every word anew
            limit = end if end - start < WINDOW else position + 1
            needles, held = set(), 0
        held |= found
        if found & NEEDLE:
            needles.add(words[index])
    if _tells(held, end - start, learning):
        yield start, end, needles, held


def _tells(held: int, length: int, learning: bool) -> bool:
    """Whether a line with these roles is looked at: a mark needs what says for what, which a long line may hide."""
    if held & ~(HINTS | MARK):
        return True
    return bool(held & MARK) and (learning or bool(held & HINTS) or length >= WINDOW)


@functools.cache
def named_failures() -> list[re.Pattern[str]]:
    """What a run that gave up says of which package."""
    return [re.compile(regex) for regex in load().named_failures]
