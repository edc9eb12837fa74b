"""Patching folders: kept originals, reverting to the byte, and what is left alone."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mambaops.core import process
from mambaops.core.errors import MambaopsError, UsageError
from mambaops.patching import catalogue
from mambaops.patching.apply import apply_to_tree, check_tree, revert_tree
from mambaops.patching.one_off import apply_diff, parse_diff
from mambaops.patching.options import SetupOptions
from mambaops.patching.pristine import FOLDER, unified_diff

sys.path.insert(0, str(Path(__file__).parent))
from setup_recording import FILES, SHAPES

NINETY = SetupOptions(archs=("9.0",))
BOTH = SetupOptions(archs=("8.0", "9.0+PTX"), ninja=False)


def _tree(folder: Path, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "setup.py").write_bytes(data)
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return _tree(tmp_path / "mamba_ssm-2.3.2.post1", FILES["mamba_ssm-2.3.2.post1.py"].encode())


def _everything(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    "data",
    [
        *[FILES[name].encode() for name in ("causal_conv1d-1.0.0.py", "mamba_ssm-2.1.0.py")],
        SHAPES["vmamba_capability"].encode(),
        FILES["mamba_ssm-2.3.2.post1.py"].replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + FILES["mamba_ssm-2.3.2.post1.py"].encode(),
        b"# -*- coding: latin-1 -*-\n# caf\xe9\n" + FILES["mamba_ssm-2.2.5.py"].encode(),
        FILES["mamba_ssm-2.2.5.py"].rstrip("\n").encode(),
    ],
    ids=["conv 1.0.0", "mamba 2.1.0", "vmamba", "CRLF", "BOM", "latin-1", "no last newline"],
)
def test_revert_gives_every_byte_back(tmp_path: Path, data: bytes) -> None:
    tree = _tree(tmp_path / "tree", data)
    (tree / "setup.py").chmod(0o755)
    before = _everything(tree)
    applied = apply_to_tree(tree, NINETY)
    assert applied.changed == ("setup.py",)
    assert b"compute_90" in (tree / "setup.py").read_bytes()
    assert apply_to_tree(tree, BOTH).changed == ("setup.py",)
    assert revert_tree(tree) == ["setup.py"]
    assert _everything(tree) == before
    assert (tree / "setup.py").stat().st_mode & 0o777 == 0o755
    assert revert_tree(tree) == []


def test_git_does_not_see_what_is_kept(tree: Path) -> None:
    process.run(["git", "init", "-q", tree])
    apply_to_tree(tree / "setup.py", NINETY)
    listed = process.run(["git", "-C", tree, "status", "--porcelain", "-uall"]).stdout
    assert listed.split() == ["??", "setup.py"]


def test_other_options_start_from_the_kept_original(tree: Path, tmp_path: Path) -> None:
    apply_to_tree(tree, NINETY)
    second = apply_to_tree(tree, BOTH)
    fresh = _tree(tmp_path / "fresh", FILES["mamba_ssm-2.3.2.post1.py"].encode())
    assert apply_to_tree(fresh, BOTH).diff == second.diff
    assert (fresh / "setup.py").read_bytes() == (tree / "setup.py").read_bytes()


def test_the_capability_of_vmamba_follows_new_options(tmp_path: Path) -> None:
    tree = _tree(tmp_path / "vmamba", SHAPES["vmamba_capability"].encode())
    apply_to_tree(tree, NINETY)
    assert "capability = (9, 0)" in (tree / "setup.py").read_text()
    apply_to_tree(tree, SetupOptions(archs=("12.0",)))
    assert "capability = (12, 0)" in (tree / "setup.py").read_text()


def test_applying_again_writes_nothing(tree: Path) -> None:
    apply_to_tree(tree, NINETY)
    stamps = {path: path.stat().st_mtime_ns for path in tree.rglob("*")}
    again = apply_to_tree(tree, NINETY)
    assert again.changed == ()
    assert {path: path.stat().st_mtime_ns for path in tree.rglob("*")} == stamps


def test_check_writes_nothing(tree: Path) -> None:
    before = _everything(tree)
    checked = check_tree(tree, NINETY)
    assert checked.changed == ("setup.py",)
    assert "+        cc_flag.extend" in checked.diff
    assert _everything(tree) == before
    apply_to_tree(tree, NINETY)
    assert check_tree(tree, NINETY).changed == ()
    assert check_tree(tree, BOTH).changed == ("setup.py",)


def test_the_diff_makes_the_patched_file_of_the_first_one(tree: Path) -> None:
    first = (tree / "setup.py").read_text()
    applied = apply_to_tree(tree, BOTH)
    assert apply_diff(first, applied.diff) == (tree / "setup.py").read_text()
    (file,) = applied.files
    now = (tree / "setup.py").read_bytes()
    assert file.sha256_before == hashlib.sha256(first.encode()).hexdigest()
    assert file.sha256_after == hashlib.sha256(now).hexdigest()
    assert applied.patches == file.patches


def test_a_file_that_somebody_changed_is_left_alone(tree: Path) -> None:
    apply_to_tree(tree, NINETY)
    mine = (tree / "setup.py").read_text() + "# mine\n"
    (tree / "setup.py").write_text(mine)
    for act in (lambda: apply_to_tree(tree, BOTH), lambda: revert_tree(tree)):
        with pytest.raises(MambaopsError, match="was changed after mambaops patched it"):
            act()
    assert (tree / "setup.py").read_text() == mine


def test_a_file_that_came_anew_is_patched_anew(tree: Path) -> None:
    apply_to_tree(tree, NINETY)
    newer = FILES["mamba_ssm-2.2.5.py"].encode()
    (tree / "setup.py").write_bytes(newer)
    apply_to_tree(tree, NINETY)
    revert_tree(tree)
    assert (tree / "setup.py").read_bytes() == newer


def test_a_damaged_kept_copy_is_not_trusted(tree: Path) -> None:
    apply_to_tree(tree, NINETY)
    (tree / FOLDER / "setup.py").write_text("damaged")
    with pytest.raises(MambaopsError, match="is damaged"):
        revert_tree(tree)
    assert b"compute_90" in (tree / "setup.py").read_bytes()


def test_killed_between_the_writes_it_can_go_on(tree: Path) -> None:
    first = (tree / "setup.py").read_bytes()
    apply_to_tree(tree, NINETY)
    patched = (tree / "setup.py").read_bytes()
    (tree / "setup.py").write_bytes(first)  # the index was written, the file not yet
    assert check_tree(tree, NINETY).changed == ("setup.py",)
    apply_to_tree(tree, NINETY)
    assert (tree / "setup.py").read_bytes() == patched


def test_two_at_once_leave_one_whole_result(tree: Path) -> None:
    first = _everything(tree)
    threads = [
        threading.Thread(target=apply_to_tree, args=(tree, options))
        for options in (NINETY, BOTH, NINETY, BOTH)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [check_tree(tree, options).changed for options in (NINETY, BOTH)].count(()) == 1
    revert_tree(tree)
    assert _everything(tree) == first


@pytest.mark.parametrize("data", [b"print('no setup')\n", b"\x7fELF\0\0", b"def broken(:\n", b""])
def test_what_is_no_setup_py_is_not_touched(tmp_path: Path, data: bytes) -> None:
    tree = _tree(tmp_path / "tree", data)
    with pytest.raises(UsageError):
        apply_to_tree(tree, NINETY)
    assert _everything(tree) == {"setup.py": data}


def test_no_setup_py_at_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no setup\.py in"):
        apply_to_tree(tmp_path, NINETY)


def test_an_unwritable_folder_is_an_error_and_nothing_changes(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _everything(tree)
    (tree / FOLDER).write_text("a file where a folder should be")
    with pytest.raises(MambaopsError, match="cannot be written"):
        apply_to_tree(tree, NINETY)
    (tree / FOLDER).unlink()
    assert _everything(tree) == before


# --- the pinned diffs ---------------------------------------------------------------------------


@pytest.fixture
def pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue with one diff of its own for a small file."""
    folder = tmp_path / "patches"
    folder.mkdir()
    old, new = "one\ntwo\nthree\n", "one\n2\nthree\n"
    (folder / "two.patch").write_text(unified_diff("csrc/a.cuh", old, new))
    entry = {
        "id": "two",
        "kind": "diff",
        "file": "two.patch",
        "target": "csrc/a.cuh",
        "sha256": hashlib.sha256(old.encode()).hexdigest(),
        "nvcc": "13.0",
        "what": "a",
        "why": "b",
        "versions": "c",
        "link": "d",
    }
    (folder / "catalogue.yaml").write_text(json.dumps({"patches": [entry]}))
    monkeypatch.setattr(catalogue, "data_dir", lambda name: folder)
    return folder


@pytest.mark.parametrize(
    ("text", "nvcc", "wanted"),
    [
        ("one\ntwo\nthree\n", None, "one\n2\nthree\n"),
        ("one\ntwo\nthree\n", "13.2", "one\n2\nthree\n"),
        ("one\ntwo\nthree\n", "12.8", "one\ntwo\nthree\n"),
        ("one\ntwo\nother\n", "13.0", "one\ntwo\nother\n"),
    ],
)
def test_a_pinned_diff_touches_its_own_file_only(
    tree: Path, pinned: Path, text: str, nvcc: str | None, wanted: str
) -> None:
    (tree / "csrc").mkdir()
    (tree / "csrc" / "a.cuh").write_text(text)
    before = _everything(tree)
    applied = apply_to_tree(tree, NINETY, nvcc=nvcc)
    assert (tree / "csrc" / "a.cuh").read_text() == wanted
    assert ("two" in applied.patches) == (wanted != text)
    assert apply_to_tree(tree, NINETY, nvcc=nvcc).changed == ()
    revert_tree(tree)
    assert _everything(tree) == before


def test_a_diff_that_is_no_longer_wanted_goes_back(tree: Path, pinned: Path) -> None:
    (tree / "csrc").mkdir()
    (tree / "csrc" / "a.cuh").write_text("one\ntwo\nthree\n")
    apply_to_tree(tree, NINETY, nvcc="13.0")
    applied = apply_to_tree(tree, NINETY, nvcc="12.8")
    assert applied.changed == ("csrc/a.cuh",)
    assert (tree / "csrc" / "a.cuh").read_text() == "one\ntwo\nthree\n"


TEXT = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "  d\n"]), max_size=30).map("".join)


@given(TEXT, TEXT)
def test_a_diff_of_two_texts_leads_from_one_to_the_other(before: str, after: str) -> None:
    if before != after and before:
        assert apply_diff(before, unified_diff("f", before, after)) == after


def test_a_diff_that_does_not_fit_is_refused() -> None:
    patch = unified_diff("f", "a\nb\n", "a\nc\n")
    with pytest.raises(MambaopsError, match="does not fit at line 1"):
        apply_diff("a\nx\n", patch)
    with pytest.raises(MambaopsError, match="holds no hunk"):
        parse_diff("nothing")
    with pytest.raises(MambaopsError, match="is not whole"):
        parse_diff(patch.replace("-b\n", ""))
