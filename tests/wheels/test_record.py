"""RECORD is read and written back unchanged; what is none is refused."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from mambaops.wheels.record import (
    BadRecord,
    copy_recorded,
    entry_of,
    is_file_as_recorded,
    read_record,
    write_record,
)

# echo -n text | openssl dgst -sha256 -binary | basenc --base64url
TEXT = "text,sha256=mC2ePrmW9VnmM_TRlN7zdh2Qn1o7ZH0ahR_q1nwyydE,4"
OWN = "a-1.dist-info/RECORD"


def test_it_reads_what_it_writes() -> None:
    entries = [entry_of("text", b"text"), entry_of('odd, "name".py', b"")]
    assert list(read_record(write_record(entries, OWN)))[:2] == entries


def test_its_own_line_comes_last_and_has_neither_hash_nor_size() -> None:
    assert write_record([entry_of("text", b"text")], OWN) == f"{TEXT}\n{OWN},,\n"


def test_copying_copies_and_records() -> None:
    target = io.BytesIO()
    assert copy_recorded("text", io.BytesIO(b"text"), target) == entry_of("text", b"text")
    assert target.getvalue() == b"text"


@pytest.mark.parametrize(
    ("content", "same"), [(b"text", True), (b"texT", False), (b"text\n", False), (None, False)]
)
def test_a_file_is_held_against_its_entry(
    content: bytes | None, same: bool, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "text").write_bytes(content)
    (entry,) = read_record(TEXT)
    assert is_file_as_recorded(entry, tmp_path / "text") is same


@pytest.mark.parametrize("line", ["a.py,sha256=x", "a.py,none,1", "a.py,sha1024=x,1", "a.py,,big"])
def test_lines_that_are_none_are_refused(line: str) -> None:
    with pytest.raises(BadRecord, match="unusable line"):
        read_record(f"{TEXT}\n{line}\n")
