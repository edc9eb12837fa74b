"""RECORD, the list of a wheel's files with their hashes: read and written here and nowhere else."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import IO, BinaryIO, cast

from installer.records import Hash, InvalidRecordEntry, RecordEntry, parse_record_file
from installer.utils import copyfileobj_with_hashing

from mambaops.core.errors import MambaopsError

ALGORITHM = "sha256"
STRONG = ("sha256", "sha384", "sha512")
# they cannot hold their own hash (https://packaging.python.org/en/latest/specifications/binary-distribution-format/)
UNRECORDED = ("RECORD", "RECORD.jws", "RECORD.p7s")


class BadRecord(MambaopsError):
    """A RECORD with a line that is none."""


def read_record(text: str) -> tuple[RecordEntry, ...]:
    """The entries of a RECORD, in its order.

    Raises:
        BadRecord: a line without three fields, an unknown hash, a size that is no number.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    try:
        return tuple(RecordEntry.from_elements(*row) for row in parse_record_file(lines))
    except (InvalidRecordEntry, csv.Error) as error:
        raise BadRecord(f"RECORD has an unusable line: {error}") from error


def write_record(entries: Iterable[RecordEntry], own: str) -> str:
    """The text of a RECORD that lies at `own` itself."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerows(entry.to_row() for entry in entries)
    rows.writerow((own, "", ""))
    return text.getvalue()


def copy_recorded(path: str, source: IO[bytes], target: IO[bytes]) -> RecordEntry:
    """Copy a stream and return the entry of what went through."""
    digest, size = copyfileobj_with_hashing(
        cast("BinaryIO", source), cast("BinaryIO", target), ALGORITHM
    )
    return RecordEntry(path=path, hash_=Hash(ALGORITHM, digest), size=size)


def entry_of(path: str, content: bytes) -> RecordEntry:
    """The entry of a file with this content."""
    return copy_recorded(path, io.BytesIO(content), io.BytesIO())


def is_as_recorded(entry: RecordEntry, stream: IO[bytes]) -> bool:
    """Is what a stream holds what the entry says, by hash and size?"""
    return entry.validate_stream(cast("BinaryIO", stream))


def is_file_as_recorded(entry: RecordEntry, file: Path) -> bool:
    """The same for a file; False where it cannot be read."""
    try:
        with file.open("rb") as stream:
            return is_as_recorded(entry, stream)
    except OSError:
        return False
