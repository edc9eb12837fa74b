"""What stands in a line of a log, without its dress: colours, progress bars, pip's and docker's frames."""

from __future__ import annotations

import re
from collections.abc import Iterator

# e.g. ESC [ 01;31m ESC [ K (gcc's colours), ESC ] 8;;url BEL (links)
_ANSI = re.compile(
    r"\x1b(?:\[[0-?]{0,32}[ -/]{0,4}[@-~]|\][^\x07\x1b\n]{0,2000}(?:\x07|\x1b\\)|[@-Z\\-_])"
)
# e.g. `      │ exit code: 1`, `  ╰─> [12 lines of output]`, `#12 34.56 error: …`, `  × Building wheel`
_FRAME = re.compile(r"^(?:#\d{1,4} \d+\.\d+ )?[\s│|╰╭╮╯─>×]{0,40}")
_MARK = "\x1b"
# digits that differ make no other line; zero stays, for `exit code 0` is none
_SAME_DIGITS = bytes.maketrans(b"23456789", b"1" * 8)


def without_colours(text: str) -> str:
    """The text without ANSI sequences; line ends stay where they are."""
    return _ANSI.sub("", text) if _MARK in text else text


def sound(text: str) -> str:
    """The text without halves of characters, which cannot be searched; each stays one character."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def bare(line: str) -> str:
    """One line without the frame that pip, uv or docker put around it."""
    if line[:1].isalnum() or line[:1] == "/":  # no frame begins so
        return line.rstrip()
    return _FRAME.sub("", line, count=1).rstrip()


def shape(text: str) -> str:
    """The text with every digit but zero as 1: what it has in common with lines that differ in numbers alone."""
    # by way of bytes, where a table for all characters costs nothing to look up
    return (
        text.encode("utf-8", "surrogatepass").translate(_SAME_DIGITS).decode(errors="surrogatepass")
    )


def pieces(line: str) -> Iterator[str]:
    """What a terminal showed one after the other in one line: progress bars go back with `\\r`."""
    for piece in line.split("\r"):
        if piece.strip():
            yield piece


def chunks(text: str, size: int = 1 << 20) -> Iterator[str]:
    """Pieces of about `size` characters that end at line ends (one huge line is cut anywhere)."""
    start = 0
    while start < len(text):
        end = min(start + size, len(text))
        if end < len(text):
            newline = text.rfind("\n", start, end)
            end = newline + 1 if newline > start else end
        yield text[start:end]
        start = end


def whole_lines(blocks: Iterator[str], size: int = 1 << 20) -> Iterator[str]:
    """The same for text that comes in arbitrary blocks (a file or a pipe)."""
    rest = ""
    for block in blocks:
        rest += block
        newline = rest.rfind("\n")
        if newline < 0 and len(rest) < 4 * size:
            continue
        cut = newline + 1 if newline >= 0 else len(rest)
        yield rest[:cut]
        rest = rest[cut:]
    if rest:
        yield rest
