"""The one rule for places that a person names: what they have is not overwritten, and nothing is made by looking."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mambaops.core.errors import UsageError
from mambaops.core.outputs import file_to_write, folder_to_write


def test_a_new_file_and_a_new_folder_are_not_made_yet(tmp_path: Path) -> None:
    assert file_to_write(tmp_path / "a" / "b" / "f") == tmp_path / "a" / "b" / "f"
    assert folder_to_write(tmp_path / "a" / "d") == tmp_path / "a" / "d"
    (tmp_path / "empty").mkdir()
    assert folder_to_write(tmp_path / "empty") == tmp_path / "empty"
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_file_of_somebody_is_refused_unless_it_may_go(tmp_path: Path) -> None:
    file = tmp_path / "thesis"
    file.write_text("mine")
    with pytest.raises(UsageError, match="did not write it") as caught:
        file_to_write(file)
    assert (caught.value.exit_code, "--force" in caught.value.hint) == (2, True)
    assert file_to_write(file, force=True) == file
    assert file_to_write(file, ours=lambda path: path.read_text() == "mine") == file


def test_a_folder_of_somebody_is_refused_unless_it_may_go(tmp_path: Path) -> None:
    (tmp_path / "thesis").touch()
    with pytest.raises(UsageError, match="did not write it"):
        folder_to_write(tmp_path)
    assert folder_to_write(tmp_path, force=True) == tmp_path
    assert folder_to_write(tmp_path, ours=lambda path: (path / "thesis").exists()) == tmp_path


def pipe(path: Path) -> None:
    os.mkfifo(path)


def broken(path: Path) -> None:
    path.symlink_to("nowhere")


def device(path: Path) -> None:
    path.symlink_to("/dev/null")


@pytest.mark.parametrize(
    ("make", "force", "reason"),
    [
        (Path.mkdir, True, "is a folder"),
        (pipe, True, "is no regular file"),
        (device, True, "is no regular file"),
        (broken, False, "did not write it"),
    ],
)
def test_what_is_no_file_is_no_place_for_one(
    tmp_path: Path, make: Callable[[Path], None], force: bool, reason: str
) -> None:
    make(tmp_path / "place")
    with pytest.raises(UsageError, match=reason):
        file_to_write(tmp_path / "place", force=force)


def test_a_link_is_followed_where_its_file_may_go(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    assert file_to_write(tmp_path / "link", force=True) == tmp_path / "file"


def test_a_place_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for look in (file_to_write, folder_to_write):
        with pytest.raises(UsageError, match="is no folder"):
            look(tmp_path / "file" / "deeper" / "x")
    with pytest.raises(UsageError, match="is a file, and a folder is to be filled"):
        folder_to_write(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_of_somebody_else() -> None:
    with pytest.raises(UsageError, match="belongs to somebody else"):
        file_to_write(Path("/usr/new"))
