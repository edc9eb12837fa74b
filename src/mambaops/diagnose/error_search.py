"""Which line of a log is the first that reports an error, piece by piece; and the first that only says so of others."""

from __future__ import annotations

from collections.abc import Callable

from mambaops.diagnose import first_error
from mambaops.diagnose.dress import exception_below
from mambaops.diagnose.echoed import is_quoted, is_shown_text
from mambaops.diagnose.piece import SHOWN, Piece
from mambaops.diagnose.text import bare

CLOSE_LOOKS = 20_000  # lines whose neighbours are looked at for a prefix that they share
Place = tuple[str, int]  # the line for reading, its number


class ErrorSearch:
    """The search through all pieces of a log.

    Attributes:
        error: the first line that reports an error of its own.
        wrapper: the first that says that something else failed.
    """

    def __init__(self) -> None:
        self.error: Place | None = None
        self.wrapper: Place | None = None
        self._below: Place | None = None  # what the last traceback ends with
        self._cut: Place | None = None  # a traceback without its end
        self._looks = 0

    def look(
        self, piece: Piece, start: int, end: int, *, wraps: bool = True, inside: bool = True
    ) -> bool:
        """Look at a line, in their order; whether it told something.

        Args:
            wraps: the line may be a wrapper; `inside`: it may report an error elsewhere than at its beginning.
        """
        if self.error is not None:
            return False
        line = piece.text[start:end]
        if first_error.TRACEBACK in line:
            return self._traceback(piece, start, end)
        kind = first_error.kind_of(
            line, lambda: self._neighbours(piece, start, end), wraps=wraps, inside=inside
        )
        if not kind or is_quoted(line) or is_shown_text(piece.above(start)):
            return False
        if kind == "wrapper" and self.wrapper is None:
            self.wrapper = _place(piece, start, end)
        if kind == "error":
            found = _place(piece, start, end)
            self.error = self._below if self._below and self._below[1] < found[1] else found
        return True

    def withdraw(self, number: int, said: Callable[[str], bool]) -> bool:
        """Take back what was found from a line on, where it is one of these; whether something was."""
        places = self.error, self.wrapper, self._below
        old = [p is not None and p[1] >= number and said(p[0]) for p in places]
        kept = [None if gone else p for p, gone in zip(places, old, strict=True)]
        self.error, self.wrapper, self._below = kept
        return any(old)

    def end_of_piece(self) -> None:
        """What a traceback ended with counts where no error was known by itself."""
        self.error = self.error or self._below

    def end_of_log(self) -> None:
        """A traceback that nothing follows is an error too: the log was cut."""
        self.error = self.error or self._cut

    def _neighbours(self, piece: Piece, start: int, end: int) -> list[str]:
        self._looks += 1
        return piece.neighbours(start, end) if self._looks < CLOSE_LOOKS else []

    def _traceback(self, piece: Piece, start: int, end: int) -> bool:
        """An exception of any name, told by the traceback above it."""
        below = piece.below(end).split("\n")[1:]
        index = exception_below(piece.text[start:end], below)
        if self._below is None and index is not None and not is_shown_text(piece.above(start)):
            self._below = bare(below[index])[:SHOWN], piece.number(start) + index + 1
        if index is None and not piece.after and not is_shown_text(piece.above(start)):
            self._cut = _place(piece, start, end)
        return True


def _place(piece: Piece, start: int, end: int) -> Place:
    return bare(piece.text[start:end])[:SHOWN], piece.number(start)
