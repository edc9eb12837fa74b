"""Which line of a log is the first that reports an error, piece by piece; and the first that only says so of others."""

from __future__ import annotations

from mambaops.diagnose import first_error
from mambaops.diagnose.dress import exception_below
from mambaops.diagnose.echoed import is_quoted, is_shown_text
from mambaops.diagnose.piece import SHOWN, Piece
from mambaops.diagnose.text import bare

DULL_LINES = 5000  # lines that told nothing and are kept, so that a line that comes a million times is looked at once
CLOSE_LOOKS = 20_000  # lines whose neighbours are looked at for a prefix that they share
Place = tuple[str, int]  # the line for reading, its number

# digits that differ make no other line; zero stays, for `exit code 0` is none
_SAME = str.maketrans("23456789", "1" * 8)


class ErrorSearch:
    """The search through all pieces of a log.

    Attributes:
        error: the first line that reports an error of its own.
        wrapper: the first that says that something else failed.
    """

    def __init__(self) -> None:
        self.error: Place | None = None
        self.wrapper: Place | None = None
        self._dull: set[str] = set()
        self._looks = 0

    def look(self, piece: Piece) -> None:
        """Go on with the next piece; when an error was found there is nothing more to do."""
        if self.error is not None:
            return
        best = len(piece.text)
        for mark in first_error.MARKS:
            best = min(best, self._first_of(piece, mark, best))
        self._by_traceback(piece, best)

    def _first_of(self, piece: Piece, mark: str, best: int) -> int:
        """Where the first error line with this mark begins, before `best`."""
        position = piece.text.find(mark, 0, best)
        while position >= 0:
            start, end = piece.bounds(position)
            kind = self._kind(piece, start, end)
            if kind == "wrapper":
                self._keep_wrapper(piece, start, end)
            if kind == "error":
                self.error = _place(piece, start, end)
                return start
            position = piece.text.find(mark, max(end, position + len(mark)), best)
        return best

    def _kind(self, piece: Piece, start: int, end: int) -> first_error.Kind:
        line = piece.text[start:end]
        shape = line.translate(_SAME)
        if shape in self._dull:
            return ""
        self._looks += 1
        neighbours = piece.neighbours(start, end) if self._looks < CLOSE_LOOKS else ()
        kind = first_error.kind_of(line, neighbours)
        if kind and not is_quoted(line) and not is_shown_text(piece.above(start)):
            return kind
        if len(self._dull) < DULL_LINES:
            self._dull.add(shape)
        return ""

    def _keep_wrapper(self, piece: Piece, start: int, end: int) -> None:
        found = _place(piece, start, end)
        if self.wrapper is None or found[1] < self.wrapper[1]:
            self.wrapper = found

    def _by_traceback(self, piece: Piece, best: int) -> None:
        """An exception of any name, told by the traceback above it."""
        position = piece.text.find(first_error.TRACEBACK, 0, best)
        while position >= 0:
            start, end = piece.bounds(position)
            below = piece.below(end).split("\n")[1:]
            index = exception_below(piece.text[start:end], below)
            if index is not None and not is_shown_text(piece.above(start)):
                line, number = below[index], piece.number(start) + index + 1
                if self.error is None or number < self.error[1]:
                    self.error = bare(line)[:SHOWN], number
                return
            position = piece.text.find(first_error.TRACEBACK, end, best)


def _place(piece: Piece, start: int, end: int) -> Place:
    return bare(piece.text[start:end])[:SHOWN], piece.number(start)
