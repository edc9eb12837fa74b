"""Archives from elsewhere: what is in order is unpacked, what Python's own filter refuses is refused."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from mambaops.core.untar import untar

GOOD: list[tuple[str, dict[str, object]]] = [
    ("top", {"type": tarfile.DIRTYPE, "mode": 0o2777}),
    ("top/setup.py", {"mode": 0o666}),
    ("top/run.sh", {"mode": 0o4777}),
    ("top/read-only", {"mode": 0o400}),
    ("top/a/b/deep.cu", {}),
    ("top/link", {"type": tarfile.SYMTYPE, "linkname": "a/b/deep.cu"}),
    ("top/a/up", {"type": tarfile.SYMTYPE, "linkname": "../setup.py"}),
    ("top/hard", {"type": tarfile.LNKTYPE, "linkname": "top/setup.py"}),
    ("top/dangling", {"type": tarfile.SYMTYPE, "linkname": "not-there"}),
    ("top/./dot", {}),
    ("top/a/../same", {}),
]
# a member, or several of which the last is the bad one
BAD: dict[str, list[tuple[str, dict[str, object]]]] = {
    "climbs": [("../out", {})],
    "climbs-from-below": [("top/../../out", {})],
    "link-climbs": [("top/l", {"type": tarfile.SYMTYPE, "linkname": "../../out"})],
    "link-absolute": [("top/l", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"})],
    "hard-climbs": [("top/l", {"type": tarfile.LNKTYPE, "linkname": "../out"})],
    "hard-absolute": [("top/l", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"})],
    "device": [("top/null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3})],
    "pipe": [("top/pipe", {"type": tarfile.FIFOTYPE})],
    "through-links": [
        ("a", {"type": tarfile.DIRTYPE}),
        ("a/b", {"type": tarfile.SYMTYPE, "linkname": "."}),
        ("a/c", {"type": tarfile.SYMTYPE, "linkname": "b/../.."}),
    ],
}


def archive_of(path: Path, members: list[tuple[str, dict[str, object]]]) -> Path:
    with tarfile.open(path, "w:gz") as made:
        for name, fields in members:
            member = tarfile.TarInfo(name)
            member.mode = 0o644
            member.uid, member.uname = 12345, "daemon"
            for field, value in fields.items():
                setattr(member, field, value)
            content = name.encode() if member.isreg() else b""
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_links_and_folders_are_unpacked(tmp_path: Path) -> None:
    untar(archive_of(tmp_path / "a.tar.gz", GOOD), tmp_path / "to")
    top = tmp_path / "to" / "top"
    assert (top / "link").read_text() == "top/a/b/deep.cu"
    assert (top / "a" / "up").read_text() == (top / "hard").read_text() == "top/setup.py"
    assert (top / "dot").is_file()
    assert (top / "same").is_file()
    assert (top / "dangling").is_symlink()


def test_they_are_the_users_own_and_nobody_elses_to_write(tmp_path: Path) -> None:
    untar(archive_of(tmp_path / "a.tar.gz", GOOD), tmp_path / "to")
    top = tmp_path / "to" / "top"
    assert mode(top / "setup.py") == 0o644
    assert mode(top / "run.sh") == 0o755
    assert mode(top / "read-only") == 0o600
    assert mode(top) == 0o755
    assert {path.lstat().st_uid for path in top.rglob("*")} == {os.getuid()}


@pytest.mark.parametrize("name", BAD)
def test_what_leaves_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.tar.gz", [("top/first", {}), *BAD[name]])
    with pytest.raises(tarfile.TarError, match=BAD[name][-1][0].strip("./")):
        untar(archive, tmp_path / "to")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz", "to"]


def test_an_absolute_path_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    with pytest.raises(tarfile.TarError, match="absolute"):
        untar(archive_of(tmp_path / "a.tar", [(str(outside), {})]), tmp_path / "to")
    assert not outside.exists()


def test_no_file_is_written_through_a_link_that_was_there(tmp_path: Path) -> None:
    """A folder of the user's that is a link to somewhere else is somewhere else."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "top").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(tarfile.TarError, match="outside"):
        untar(archive_of(tmp_path / "a.tar", [("top/x", {})]), tmp_path / "to")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="this Python has no such filter")
# newer Pythons shorten a link's target by its text alone, `b/../..` to `..`, and take it; we refuse what the system
# would follow out of the folder
@pytest.mark.parametrize("name", ["good", *sorted({*BAD} - {"through-links"})])
def test_it_judges_as_pythons_own_filter_does(name: str, tmp_path: Path) -> None:
    members = GOOD if name == "good" else BAD[name]
    archive = archive_of(tmp_path / "a.tar.gz", members)
    with tarfile.open(archive) as packed:
        if name == "good":
            packed.extractall(tmp_path / "theirs", filter="data")
        else:
            with pytest.raises(tarfile.FilterError):
                packed.extractall(tmp_path / "theirs", filter="data")
            return
    untar(archive, tmp_path / "ours")
    theirs = {
        p.name: (p.read_bytes(), mode(p)) for p in (tmp_path / "theirs").rglob("*") if p.is_file()
    }
    ours = {
        p.name: (p.read_bytes(), mode(p)) for p in (tmp_path / "ours").rglob("*") if p.is_file()
    }
    assert ours == theirs


@pytest.mark.parametrize("cut", [10, 120, -40])
def test_an_archive_that_is_cut_off_is_told(cut: int, tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.tar.gz", GOOD)
    archive.write_bytes(archive.read_bytes()[:cut])
    with pytest.raises((tarfile.TarError, EOFError)):
        untar(archive, tmp_path / "to")
