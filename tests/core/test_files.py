"""A file is written whole or not at all: full disks, locked folders, links, modes, readers meanwhile."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mambaops.core.errors import MambaopsError
from mambaops.core.files import replace_link, replacing, sha256_of, write_bytes, write_text

# every write beyond this many bytes fails with "File too large", as on a full disk
LIMITED = """
import resource, signal, sys
from pathlib import Path
from mambaops.core.errors import MambaopsError
from mambaops.core.files import write_bytes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_bytes(Path(sys.argv[1]), b"n" * 10_000)
except MambaopsError as error:
    sys.exit(error.message)
"""
KILLED = """
import os, signal, sys
from pathlib import Path
from mambaops.core.files import replacing
with replacing(Path(sys.argv[1])) as aside:
    aside.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def python(code: str, *words: object) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield
    os.umask(before)


def test_folders_are_made_and_text_is_written_as_it_is(tmp_path):
    path = write_text(tmp_path / "a/b/c.txt", "é\r\n")
    assert path.read_bytes() == b"\xc3\xa9\r\n"
    assert [one.name for one in path.parent.iterdir()] == ["c.txt"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    path = write_bytes(tmp_path / "file", b"old")
    done = python(LIMITED, path)
    told = f"{path} cannot be written: File too large; it is as it was\n"
    assert (done.returncode, done.stderr) == (1, told)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_in_the_middle_leaves_the_old_file(tmp_path):
    path = write_bytes(tmp_path / "file", b"old")
    assert python(KILLED, path).returncode == -9
    assert path.read_bytes() == b"old"


def test_an_error_of_the_writer_leaves_the_old_file_and_nothing_else(tmp_path):
    path = write_bytes(tmp_path / "file", b"old")
    with pytest.raises(ZeroDivisionError), replacing(path) as aside:
        aside.write_bytes(b"new")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_to(tmp_path):
    """A file stands where the folder should be: that holds for root too."""
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(MambaopsError, match="cannot be written"):
        write_bytes(tmp_path / "folder" / "file", b"new")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_others_own(tmp_path):
    path = write_bytes(tmp_path / "file", b"old")
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(MambaopsError, match="Permission denied"):
            write_bytes(path, b"new")
    finally:
        tmp_path.chmod(0o755)
    assert path.read_bytes() == b"old"


def test_a_new_file_has_the_bits_that_the_umask_leaves(tmp_path, umask):
    assert mode_of(write_bytes(tmp_path / "file", b"")) == 0o640


@pytest.mark.parametrize("bits", [0o400, 0o600, 0o666, 0o755, 0o4755])
def test_a_replaced_file_keeps_its_bits(bits, tmp_path, umask):
    path = write_bytes(tmp_path / "file", b"old")
    path.chmod(bits)
    write_bytes(path, b"new")
    assert (mode_of(path), path.read_bytes()) == (bits, b"new")


def test_bits_that_are_asked_for_win(tmp_path, umask):
    path = write_bytes(tmp_path / "file", b"old")
    write_bytes(path, b"new", mode=0o755)
    assert mode_of(path) == 0o755


def test_what_replaces_a_secret_is_never_open_to_others(tmp_path):
    path = write_bytes(tmp_path / "file", b"old", mode=0o600)
    with replacing(path) as aside:
        assert mode_of(aside) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_leaves_a_file_to_its_owner(tmp_path):
    path = write_bytes(tmp_path / "file", b"old")
    os.chown(path, 12345, 12346)
    write_bytes(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)


def test_a_link_is_replaced_and_its_target_stays(tmp_path):
    target = write_bytes(tmp_path / "target", b"old")
    link = replace_link(tmp_path / "link", target)
    write_bytes(link, b"new")
    assert not link.is_symlink()
    assert (link.read_bytes(), target.read_bytes()) == (b"new", b"old")


def test_a_link_takes_the_place_of_a_file_and_of_a_link(tmp_path):
    path = write_bytes(tmp_path / "a/link", b"a file")
    for target in (tmp_path / "one", tmp_path / "two"):
        assert replace_link(path, target).readlink() == target
    assert list(path.parent.iterdir()) == [path]


def test_a_link_does_not_take_the_place_of_a_folder(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(MambaopsError, match="cannot be written"):
        replace_link(tmp_path / "folder", tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


def test_a_name_as_long_as_a_name_can_be(tmp_path):
    path = write_bytes(tmp_path / ("数" * 85), b"new")  # 255 bytes
    assert path.read_bytes() == b"new"


def test_readers_see_one_or_the_other(tmp_path):
    path, ended = tmp_path / "file", threading.Event()
    contents = [letter * 200_000 for letter in (b"a", b"b")]
    write_bytes(path, contents[0])
    seen: set[bytes] = set()

    def read() -> None:
        seen.add(path.read_bytes())
        while not ended.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(12):
        write_bytes(path, contents[number % 2])
    ended.set()
    reader.join()
    assert seen
    assert seen <= set(contents)


def test_several_writers_at_once_leave_one_whole_file(tmp_path):
    path = tmp_path / "file"
    contents = [bytes([65 + number]) * 100_000 for number in range(6)]
    writers = [threading.Thread(target=write_bytes, args=(path, data)) for data in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_digest_of_more_than_one_piece(tmp_path):
    data = os.urandom(2_500_000)
    assert sha256_of(write_bytes(tmp_path / "file", data)) == hashlib.sha256(data).hexdigest()
