"""What a runner puts before every line it passes on: ranks, clocks, containers, hosts, levels.

No runner is known here by name. Two things show where the message begins: the start that neighbouring lines
share, and the signs with which people end a prefix (`]`, `)`, `:`, `|`, a number, two spaces).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence

from mambaops.diagnose.text import bare

_SHOWN = 160  # characters of a line in which its message must have begun
_FEW = 2  # so many neighbours at least must begin alike
_BOUNDS = frozenset(" ]:|)>")  # where a prefix may end
# one piece of a line; what differs from line to line (numbers, ids with digits) counts as equal
_PIECE = re.compile(r"\s+|[^\W_]+|.", re.DOTALL)
# the last one: a value of a line that is JSON
_ENDS = re.compile(
    r"(?:[\])|:>0-9Z]|\s-)[ \t]+|\S[ \t]{2,}|^\[?[A-Z]+\]?[ \t]+|[ \t][A-Z][ \t]+|\":[ \t]?\""
)
# what says of itself that it is no error
_HARMLESS_LEVEL = re.compile(r"(?i)\b(?:info|debug|trace|notice)\b")
_LEVEL = re.compile(r"\b(?:ERROR|FATAL|CRITICAL)\b")


def _shape(piece: str) -> str:
    if piece.isspace():
        return " "
    return "0" if any(char.isdigit() for char in piece) else piece


@functools.lru_cache(maxsize=32)
def _taken_apart(start: str) -> tuple[list[str], list[str]]:
    """The pieces of a line's start and their shapes; every line is its neighbours' neighbour."""
    pieces = _PIECE.findall(start)
    return pieces, [_shape(piece) for piece in pieces]


def shared(line: str, neighbours: Sequence[str]) -> int:
    """How many characters at the line's start are a prefix that at least half of its neighbours share."""
    pieces, shapes = _taken_apart(line[:_SHOWN])
    counts = [0] * len(shapes)
    others = [text for text in neighbours if text.strip() and text != line]
    for other in others:
        for index, pair in enumerate(zip(shapes, _taken_apart(other[:_SHOWN])[1], strict=False)):
            if pair[0] != pair[1]:
                break
            counts[index] += 1
    enough = max(_FEW, (len(others) + 1) // 2)
    width = end = 0
    for piece, shape, count in zip(pieces, shapes, counts, strict=True):
        if count < enough:
            break
        width += len(piece)
        # the indentation of code is no prefix
        end = width if shape in _BOUNDS and width > len(piece) else end
    return end


def messages(line: str, neighbours: Sequence[str] = ()) -> Iterator[str]:
    """Where the message of a line may begin: first as it stands, last behind every sign that ends a prefix."""
    plain = bare(line)
    cut = shared(line, neighbours) if neighbours else 0
    if cut and _LEVEL.search(line, 0, cut):
        plain = bare(line[cut:])  # a level that every line has tells nothing
    elif cut:
        yield bare(line[cut:])
    yield plain
    level = _HARMLESS_LEVEL.search(plain, 0, _SHOWN)
    for sign in _ENDS.finditer(plain, 0, _SHOWN):
        if level and level.end() <= sign.end():
            return
        yield bare(plain[sign.end() :])


def undressed(lines: Sequence[str], neighbours: Sequence[str]) -> list[str]:
    """Lines that stand together, without the prefix that they share with one another and their neighbours."""
    around = list(dict.fromkeys([*lines, *neighbours]))
    return [line[shared(line, around) :] for line in lines]


def exception_below(header: str, following: Sequence[str]) -> int | None:
    """The index of the line that names the exception of a traceback; None when it is not among them.

    The column of the word `Traceback` is that of the exception, whatever stands before them.
    """
    column = header.index("Traceback (most recent call last)")
    for index, line in enumerate(following):
        rest = line[column:]
        if rest[:1].strip() and not rest.startswith(("Traceback (", "+-", "|")):
            return index
        if not rest.strip() and len(line.strip()) < column and index > 1:
            return None
    return None
