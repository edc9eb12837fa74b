"""The store: found by key, safe for many writers, usable by pip and uv as it stands."""

from __future__ import annotations

import _ctypes
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from mambaops.core.errors import MambaopsError
from mambaops.core.files import sha256_of
from mambaops.store.store import Store, link_or_copy
from mambaops.wheels.inspect.elf import inspect_extension
from mambaops.wheels.keys import BuildKey


def key(**changes: object) -> BuildKey:
    values: dict[str, object] = {
        "package": "tiny",
        "version": "1.0",
        "torch": "2.14.1+cu130",
        "cuda": "13.0",
        "cxx11_abi": True,
        "python": "cp311",
        "platform": "linux_x86_64",
        "architectures": ["9.0"],
    }
    return BuildKey.of(**{**values, **changes})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_wheel_is_found_by_its_key_and_by_no_other(store, make_wheel):
    path = store.add(make_wheel(version=f"1.0+{key().local_version()}"), key(), {"jobs": 2})
    assert store.find(key()) == path
    assert path.parent == store.path
    assert [entry.manifest for entry in store.entries()] == [{"jobs": 2}]
    for other in (
        {"version": "1.1"},
        {"torch": "2.14.0+cu130"},
        {"cuda": "12.6"},
        {"cxx11_abi": False},
        {"python": "cp312"},
        {"platform": "linux_aarch64"},
        {"architectures": ["9.0", "12.0"]},
        {"patches": ["arch-list"]},
        {"source": "ab"},
        {"flags": ["glibc2.31"]},
    ):
        assert store.find(key(**other)) is None, other


def test_adding_the_same_key_again_keeps_the_first(store, make_wheel, tmp_path):
    version = f"1.0+{key().local_version()}"
    first = store.add(make_wheel(version=version, size=10), key())
    before = sha256_of(first)
    again = store.add(make_wheel(version=version, size=10, folder=tmp_path / "b"), key())
    assert again == first
    assert sha256_of(first) == before


def test_one_name_for_two_keys_is_refused_with_the_version_to_give(store, make_wheel):
    wheel = make_wheel(name="mamba_ssm", version="1.0")
    store.add(wheel, key(package="mamba-ssm"))
    other = key(package="mamba-ssm", torch="2.13.0+cu130")
    digest = key(package="mamba-ssm").digest()[:8]
    with pytest.raises(MambaopsError, match=f"the store has another .*for key {digest}") as caught:
        store.add(wheel, other)
    assert f"MAMBA_LOCAL_VERSION={other.local_version()}" in caught.value.hint


def test_a_wheel_of_another_package_is_refused(store, make_wheel):
    with pytest.raises(MambaopsError, match=r"is other 1\.0, but its key says tiny 1\.0"):
        store.add(make_wheel(name="other"), key())


def test_a_wheel_of_another_version_is_refused(store, make_wheel):
    with pytest.raises(MambaopsError, match=r"is tiny 1\.1, but its key says tiny 1\.0"):
        store.add(make_wheel(version="1.1"), key())


def test_what_is_not_named_like_a_wheel_is_refused(store, tmp_path):
    with pytest.raises(MambaopsError, match="is no wheel's file name"):
        store.add(tmp_path / "tiny.whl", key())


def test_the_users_own_store_is_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    assert Store().path == tmp_path / "cache" / "wheels"


def test_finding_a_wheel_is_using_it(store, make_wheel):
    path = store.add(make_wheel(), key())
    before = path.stat().st_mtime_ns
    os.utime(f"{path}.json", (1000, 1000))
    assert store.entries()[0].used == 1000
    store.find(key())
    assert store.entries()[0].used > 1_000_000
    # uv takes a wheel with a new time for a new one
    assert path.stat().st_mtime_ns == before


def test_what_a_wheel_asks_of_a_system_is_kept(store, make_wheel):
    module = Path(_ctypes.__file__)
    path = store.add(make_wheel(files={"tiny/module.so": module.read_bytes()}), key())
    (entry,) = store.entries()
    found = inspect_extension(module)
    assert (entry.glibc, entry.glibcxx) == (found.glibc, found.glibcxx)
    assert entry.glibc is not None
    assert Path(f"{path}.json").read_bytes().endswith(b"}\n")


def test_a_wheel_that_was_put_there_by_hand_is_listed_and_pruned(store, make_wheel):
    store.path.mkdir(parents=True)
    path = make_wheel(folder=store.path)
    (entry,) = store.entries()
    assert (entry.wheel, entry.size, entry.sha256) == (path.name, path.stat().st_size, "")
    assert (entry.key, entry.digest) == (None, None)
    assert [one.wheel for one in store.prune(keep=0)] == [path.name]
    assert not path.exists()


def test_a_wheel_that_was_taken_away_is_not_found_and_can_come_again(store, make_wheel):
    path = store.add(make_wheel(), key())
    path.unlink()
    assert store.find(key()) is None
    assert store.add(make_wheel(), key()) == path
    path.unlink()
    assert [one.wheel for one in store.prune(keep=0)] == [path.name]
    assert store.entries() == []


def test_a_store_that_is_not_there_is_empty(store):
    assert store.entries() == []
    assert store.prune(keep=0) == []


def test_a_wheel_comes_from_another_file_system_as_a_copy(tmp_path):
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other file system")
    with tempfile.NamedTemporaryFile(dir=elsewhere) as file:
        file.write(b"wheel")
        file.flush()
        link_or_copy(Path(file.name), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"wheel"


def test_a_damaged_wheel_is_set_aside_aloud(tmp_path, make_wheel):
    said: list[str] = []
    store = Store(tmp_path / "store", say=said.append)
    path = store.add(make_wheel(size=1000), key())
    os.truncate(path, 500)
    assert store.find(key()) is None
    assert path.with_name(path.name + ".bad").exists()
    assert not Path(f"{path}.json").exists()
    assert "not what was put there" in said[0]
    assert store.add(make_wheel(size=1000), key()) == path
    assert store.find(key()) == path


def test_a_broken_sidecar_hides_one_wheel_and_is_named(tmp_path, make_wheel):
    said: list[str] = []
    store = Store(tmp_path / "store", say=said.append)
    path = store.add(make_wheel(), key())
    path.with_name(path.name + ".json").write_text("{")
    assert store.find(key()) is None
    assert f"{path.name}.json" in said[0]


def test_prune_by_age_and_by_number_takes_the_least_recently_used(store, make_wheel):
    paths = []
    for number in range(4):
        one = key(source=str(number))
        paths.append(store.add(make_wheel(version=f"1.0+n{number}"), one))
        used = time.time() - number * 86400 * 10
        os.utime(f"{paths[-1]}.json", (used, used))
    assert store.prune() == []
    assert [entry.wheel for entry in store.prune(older_than=timedelta(days=15), dry_run=True)] == [
        paths[2].name,
        paths[3].name,
    ]
    assert [path.exists() for path in paths] == [True] * 4
    assert [entry.wheel for entry in store.prune(keep=3)] == [paths[3].name]
    assert [entry.wheel for entry in store.prune(older_than=timedelta(days=15))] == [paths[2].name]
    assert [path.exists() for path in paths] == [True, True, False, False]
    assert [entry.wheel for entry in store.entries()] == [paths[0].name, paths[1].name]


def test_the_wheels_of_one_package_are_named_with_their_keys(store, make_wheel):
    there = store.add(make_wheel(), key())
    store.add(make_wheel(version="1.0+gone"), key(source="ab")).unlink()
    store.add(make_wheel(name="other"), key(package="other"))
    make_wheel(version="1.1", folder=store.path)  # put there by hand
    assert store.keyed("tiny") == [(there, key())]


def test_a_store_that_is_locked_for_long_is_said(store, make_wheel, monkeypatch):
    monkeypatch.setattr("mambaops.store.store.LOCK_SECONDS", 0.0)
    store.path.mkdir(parents=True)
    with (
        FileLock(store.path / ".lock"),
        pytest.raises(MambaopsError, match="has been locked by another process"),
    ):
        store.add(make_wheel(), key())
    assert store.entries() == []


WRITER = """
import sys
from pathlib import Path
from mambaops.wheels.keys import BuildKey
from mambaops.store.store import Store
root, folder, key = Path(sys.argv[1]), Path(sys.argv[2]), BuildKey.of
common = dict(package="tiny", version="1.0", torch="2.14.1", cuda=None, cxx11_abi=True, python="cp311", platform="any")
store = Store(root)
for wheel in sorted(folder.glob("*.whl")):
    print(store.add(wheel, key(source=wheel.name, **common)))
"""


def test_eight_processes_write_at_once(tmp_path, make_wheel):
    """Each adds the same five names with different bytes; every wheel is whole, and one of those offered."""
    offered: dict[str, set[str]] = {}
    for writer in range(8):
        for number in range(5):
            path = make_wheel(
                version=f"1.0+n{number}", size=200_000, folder=tmp_path / f"w{writer}"
            )
            offered.setdefault(path.name, set()).add(sha256_of(path))
    root = tmp_path / "store"
    argv = [sys.executable, "-c", WRITER, str(root)]
    with ThreadPoolExecutor(8) as pool:
        runs = list(
            pool.map(
                lambda writer: subprocess.run(
                    [*argv, str(tmp_path / f"w{writer}")],
                    capture_output=True,
                    text=True,
                    check=False,
                ),
                range(8),
            )
        )
    assert [run.returncode for run in runs] == [0] * 8, [run.stderr for run in runs]
    entries = Store(root).entries()
    assert {entry.wheel for entry in entries} == set(offered)
    for entry in entries:
        assert sha256_of(root / entry.wheel) == entry.sha256
        assert entry.sha256 in offered[entry.wheel]
    assert len({run.stdout for run in runs}) == 1
    assert not list(root.glob(".*.tmp"))


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_pip_and_uv_install_from_the_folder_as_it_stands(tool, store, make_wheel, tmp_path):
    version = f"1.0+{key().local_version()}"
    store.add(make_wheel(version=version), key())
    argv = {
        "pip": [sys.executable, "-m", "pip", "install", "--quiet", "--target", tmp_path / "out"],
        "uv": [uv(), "pip", "install", "--quiet", "--target", tmp_path / "out"],
    }[tool]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))}
    clean["UV_CACHE_DIR"] = str(tmp_path / "uv-cache")
    subprocess.run(
        [*map(str, argv), "--no-index", "--find-links", str(store.path), "tiny==1.0"],
        check=True,
        env=clean,
    )
    assert (tmp_path / f"out/tiny-{version}.dist-info").is_dir()


def uv() -> str:
    from uv import find_uv_bin

    return find_uv_bin()
