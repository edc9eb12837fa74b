"""Applying a unified diff that is pinned to the digest of the file it was made for: exactly, or not at all."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mambaops.core.errors import MambaopsError

# e.g. "@@ -132,3 +132,3 @@ WarpReverseScan()"
_HUNK = re.compile(r"@@ -(?P<start>\d+)(?:,(?P<length>\d+))? \+\d+(?:,\d+)? @@")


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines `old` (with their line ends) that stand from line `start` (1-based), and what replaces them."""

    start: int
    old: tuple[str, ...]
    new: tuple[str, ...]


def parse_diff(text: str) -> list[Hunk]:
    """The hunks of a unified diff of one file."""
    pieces = _split(text.splitlines(keepends=True))
    hunks = [_read_hunk(header, body) for header, body in pieces]
    if not hunks:
        raise MambaopsError("the patch file holds no hunk (a line that starts with @@)")
    return hunks


def _split(lines: list[str]) -> list[tuple[re.Match[str], list[str]]]:
    pieces: list[tuple[re.Match[str], list[str]]] = []
    for line in lines:
        header = _HUNK.match(line)
        if header:
            pieces.append((header, []))
        elif pieces and line[0] in " +-":
            pieces[-1][1].append(line)
    return pieces


def _read_hunk(header: re.Match[str], body: list[str]) -> Hunk:
    old = tuple(line[1:] for line in body if line[0] in " -")
    new = tuple(line[1:] for line in body if line[0] in " +")
    if len(old) != int(header["length"] or 1):
        raise MambaopsError(f"the hunk at line {header['start']} of the patch is not whole")
    return Hunk(int(header["start"]), old, new)


def apply_diff(original: str, patch: str) -> str:
    """`original` with the patch applied at the very lines that it names.

    Raises:
        MambaopsError: a line is not what the patch expects there.
    """
    lines = original.splitlines(keepends=True)
    for hunk in reversed(parse_diff(patch)):
        first = hunk.start - 1
        found = lines[first : first + len(hunk.old)]
        if tuple(found) != hunk.old:
            raise MambaopsError(f"the patch does not fit at line {hunk.start}")
        lines[first : first + len(hunk.old)] = hunk.new
    return "".join(lines)
