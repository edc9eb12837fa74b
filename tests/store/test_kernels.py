"""Compiled kernels beside the wheels of the user's own store: counted and removed with them, by age or all."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from mambaops.core.paths import cache_dir
from mambaops.store.commands import Request, run, text
from mambaops.store.kernels import Kernels, compiled, counted, remove
from mambaops.store.store import Store

pytestmark = pytest.mark.usefixtures("own_places")
DAY = 86400.0
NOW = 1_000 * DAY
# what a cache holds: days since each was read, and since it was written
USED = {
    "kernels/old.kernel": (30, 30),
    "kernels/read.kernel": (1, 30),
    "kernels/written.kernel": (30, 1),
    "kernels/killed.lock": (30, 30),
    "packs/x/ten.kernel": (10, 10),
    "packs/x/.new-part": (30, 30),
}
EVERY = set(USED)


@pytest.fixture
def cache() -> Path:
    for name, (read, written) in USED.items():
        file = cache_dir() / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"k" * 500_000)
        os.utime(file, (NOW - read * DAY, NOW - written * DAY))
    (cache_dir() / "kernels" / "README").write_text("mine")
    (cache_dir() / "kernels" / "away.kernel").symlink_to("nowhere")
    return cache_dir()


@pytest.mark.parametrize(
    ("keep", "days", "names"),
    [
        (None, None, EVERY),
        (0, None, EVERY),
        (2, None, set()),  # kernels are of no package
        (None, 10, {"kernels/old.kernel", "kernels/killed.lock", "packs/x/.new-part"}),
        (2, 10, {"kernels/old.kernel", "kernels/killed.lock", "packs/x/.new-part"}),
        (0, 9, EVERY - {"kernels/read.kernel", "kernels/written.kernel"}),
        (None, 31, set()),
    ],
)
def test_kernels_go_by_age_or_all(
    cache: Path, keep: int | None, days: int | None, names: set[str]
) -> None:
    age = None if days is None else timedelta(days=days)
    found = compiled(NOW, keep=keep, older_than=age)
    assert {str(path.relative_to(cache)) for path in found} == names


def test_they_are_counted_as_far_as_they_are_there(cache: Path) -> None:
    files = [cache / "kernels" / name for name in ("old.kernel", "gone.kernel", "read.kernel")]
    assert counted(files) == Kernels(path=str(cache), count=3, size=1_000_000)
    assert counted([]) == Kernels(path=str(cache), count=0, size=0)


def test_a_folder_of_a_pack_goes_with_its_last_kernel(cache: Path) -> None:
    pack = cache / "packs" / "x"
    remove([pack / "ten.kernel", pack / "gone.kernel"])
    assert [path.name for path in pack.iterdir()] == [".new-part"]
    remove([pack / ".new-part"])
    assert not pack.exists()
    for name in ("README", "away.kernel"):
        (cache / "kernels" / name).unlink()
    remove(list((cache / "kernels").iterdir()))
    assert (cache / "kernels").is_dir()


def test_the_users_own_store_lists_and_prunes_them(cache: Path) -> None:
    listed = run(Store(), Request(action="list"))
    assert not listed.is_empty
    assert text(listed).splitlines() == [
        f"0 wheels, 0.0 MB, in {cache / 'wheels'}",
        f"6 compiled kernels, 3.0 MB, in {cache}",
    ]
    assert run(Store(), Request(action="prune", keep=2)).is_empty
    dry = run(Store(), Request(action="prune", older_than="1d", dry_run=True))
    assert text(dry).splitlines()[1] == f"6 compiled kernels, 3.0 MB, would go from {cache}"
    assert all((cache / name).exists() for name in EVERY)
    os.utime(cache / "kernels" / "read.kernel")
    remove([cache / "kernels" / "killed.lock"])
    done = run(Store(), Request(action="prune", older_than="1d"))
    assert text(done).splitlines()[1] == f"4 compiled kernels, 2.0 MB, removed from {cache}"
    assert [name for name in USED if (cache / name).exists()] == ["kernels/read.kernel"]
    last = run(Store(), Request(action="prune", keep=0))
    assert text(last).splitlines()[1] == f"1 compiled kernel, 0.5 MB, removed from {cache}"
    after = run(Store(), Request(action="list"))
    assert after.is_empty
    assert text(after) == f"0 wheels, 0.0 MB, in {cache / 'wheels'}"


def test_another_store_leaves_them_alone(cache: Path, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    assert run(other, Request(action="list")).kernels is None
    gone = run(other, Request(action="prune", keep=0))
    assert (gone.kernels, gone.is_empty) == (None, True)
    assert all((cache / name).exists() for name in EVERY)
