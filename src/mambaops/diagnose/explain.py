"""A log file (or stdin) to an explanation that can be printed: what a failing step says about itself."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from mambaops.core.errors import UsageError
from mambaops.core.files import regular
from mambaops.diagnose.match import Diagnosis, Finding, examine
from mambaops.diagnose.text import whole_lines
from mambaops.facts.model import Facts

_BLOCK = 1 << 20
# PowerShell's `>` writes UTF-16 with a byte order mark
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A log and what it says."""

    source: str
    diagnosis: Diagnosis

    @property
    def recognised(self) -> bool:
        return self.diagnosis.recognised

    def text(self) -> str:
        """For a terminal: the cause with its line, what to do, what does not help."""
        return as_text(self.diagnosis, self.source)


def explain_log(path: Path, facts: Facts | None = None) -> Explanation:
    """Read a log file of any size and say what failed.

    Raises:
        UsageError: the file cannot be read.
    """
    return Explanation(source=str(path), diagnosis=examine(pieces_of(path), facts))


def explain_stream(stream: BinaryIO, facts: Facts | None = None) -> Explanation:
    """The same for a pipe."""
    blocks = iter(lambda: stream.read(_BLOCK), b"")
    return Explanation(source="stdin", diagnosis=examine(whole_lines(_decoded(blocks)), facts))


def explain_stdin(facts: Facts | None = None) -> Explanation:
    """The same for our own stdin."""
    return explain_stream(sys.stdin.buffer, facts)


def pieces_of(path: Path) -> Iterator[str]:
    """The text of a file in pieces that end at line ends; bytes that are no text are replaced.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        with _opened(path) as file:
            yield from whole_lines(_decoded(iter(lambda: file.read(_BLOCK), b"")))
    except OSError as error:
        raise UsageError(f"log `{path}` cannot be read: {error.strerror}") from error


def _opened(path: Path) -> BinaryIO:
    """A file, or the pipe that `<(command)` is; opening another pipe would wait for who never comes."""
    handed = path.parent.resolve().parts[:2] == ("/", "proc")
    return path.open("rb") if handed else regular(path).open("rb")


def _decoded(blocks: Iterator[bytes]) -> Iterator[str]:
    decoder = None
    for block in blocks:
        decoder = decoder or codecs.getincrementaldecoder(_encoding(block))(errors="replace")
        yield decoder.decode(block)
    if decoder is not None:
        yield decoder.decode(b"", final=True)


def _encoding(start: bytes) -> str:
    return next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")


def as_text(diagnosis: Diagnosis, source: str = "the log") -> str:
    """A diagnosis for reading."""
    if not diagnosis.failed and not diagnosis.findings:
        return f"{source}: no failure found in {diagnosis.lines} lines"
    blocks = [_finding_text(found) for found in diagnosis.findings]
    if diagnosis.failed and not diagnosis.recognised:
        blocks.insert(0, _unknown_text(diagnosis, source))
    elif _error_comes_first(diagnosis):
        blocks.append(
            f"the first error line of the log is another: {diagnosis.first_error_line_number}: "
            f"{diagnosis.first_error}"
        )
    return "\n\n".join(blocks)


def _error_comes_first(diagnosis: Diagnosis) -> bool:
    number = diagnosis.first_error_line_number
    first = min((found.line_number for found in diagnosis.findings if not found.benign), default=0)
    return number is not None and number < first - 3


def _unknown_text(diagnosis: Diagnosis, source: str) -> str:
    return (
        f"not recognised: nothing in {source} ({diagnosis.lines} lines) is in the catalogue\n"
        f"  first error   {diagnosis.first_error_line_number}: {diagnosis.first_error}"
    )


def _finding_text(found: Finding) -> str:
    head = "harmless" if found.benign else "cause"
    rows = [
        f"{head}: {found.title} [{found.rule}]",
        f"  line {found.line_number}: {found.line}",
        f"  {found.cause}",
    ]
    if not found.benign:
        rows += [f"  -> {fix}" for fix in found.fixes]
    rows += [f"  does not help: {text}" for text in found.does_not_help]
    if found.versions:
        rows.append(f"  versions: {found.versions}")
    rows += [f"  follows from it: line {c.line_number}: {c.line}" for c in found.consequences]
    rows += [f"  see {link}" for link in found.sources[:2]]
    return "\n".join(rows)
