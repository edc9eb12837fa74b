"""Windows line ends: what is stripped, what is left alone, and what is said."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mambaops.core.errors import UsageError
from mambaops.patching.crlf import strip_crlf, to_lf


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "sub" / ".git").mkdir(parents=True)
    (tmp_path / "run.sh").write_bytes(b"#!/bin/sh\r\necho it runs\r\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "sub" / "mixed.py").write_bytes(b"a\nb\r\nc\rd\r\n")
    (tmp_path / "sub" / "clean.txt").write_bytes(b"a\nb\n")
    (tmp_path / "sub" / "data.bin").write_bytes(b"\x7fELF\0\r\n")
    (tmp_path / "sub" / "late.bin").write_bytes(b"a\r\n" * 5000 + b"\0")
    (tmp_path / "sub" / ".git" / "config").write_bytes(b"a\r\n")
    for name in ("go.bat", "Go.PS1", "go.cmd"):
        (tmp_path / name).write_bytes(b"a\r\n")
    (tmp_path / "link.sh").symlink_to(tmp_path / "run.sh")
    return tmp_path


def test_a_script_runs_again(tree: Path) -> None:
    script = tree / "run.sh"
    with pytest.raises(FileNotFoundError):  # the interpreter `/bin/sh\r`
        subprocess.run([script], check=True)
    strip_crlf([script])
    assert subprocess.run([script], check=True, capture_output=True).stdout == b"it runs\n"
    assert script.stat().st_mode & 0o777 == 0o755


def test_a_folder_with_all_that_is_in_it(tree: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in tree.rglob("*") if path.is_file()}
    done = {Path(item.path).relative_to(tree).as_posix(): item for item in strip_crlf([tree])}
    assert {name for name, item in done.items() if item.outcome == "stripped"} == {
        "run.sh",
        "sub/mixed.py",
    }
    assert done["sub/mixed.py"].lines == 2
    assert (tree / "sub" / "mixed.py").read_bytes() == b"a\nb\nc\rd\n"
    assert done["sub/data.bin"].reason == done["sub/late.bin"].reason == "binary"
    assert done["Go.PS1"].reason == "a Windows script"
    assert "link" in done["link.sh"].reason
    assert "sub/.git/config" not in done
    for name in ("go.bat", "Go.PS1", "go.cmd", "sub/clean.txt", "sub/data.bin", "sub/late.bin"):
        assert (tree / name).stat().st_mtime_ns == before[tree / name], name
    assert {item.outcome for item in strip_crlf([tree])} == {"clean", "skipped"}


def test_check_writes_nothing(tree: Path) -> None:
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    done = strip_crlf([tree], check=True)
    assert sum(item.outcome == "has CRLF" for item in done) == 2
    assert {path: path.read_bytes() for path in before} == before


def test_the_same_file_twice_is_reported_once(tree: Path) -> None:
    said = strip_crlf([tree / "run.sh", tree / "run.sh"])
    assert [(item.path, item.outcome) for item in said] == [(str(tree / "run.sh"), "stripped")]


def test_a_link_that_is_named_itself_is_followed(tree: Path) -> None:
    (item,) = strip_crlf([tree / "link.sh"])
    assert item.outcome == "stripped"
    assert (tree / "link.sh").is_symlink()
    assert b"\r" not in (tree / "run.sh").read_bytes()


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        strip_crlf([tmp_path / "nothing"])


@given(st.binary())
def test_stripping_twice_is_stripping_once_unless_new_pairs_form(data: bytes) -> None:
    text, lines = to_lf(data)
    assert len(data) - len(text) == lines
    assert text.replace(b"\r", b"") == data.replace(b"\r", b"")
