"""Kept kernels: damage, owners, eight processes at once, a killed one, a full disk, a home that is read-only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mambaops.core.paths import payload_file

KERNELS = payload_file("kernels")
MAKE = """
import os, sys, time
from mambaops_kernels import lock, store
lock.STALE_SECONDS = float(os.environ.get("STALE", "30"))
path, log, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
def make():
    with open(log, "a") as file: file.write(f"{os.getpid()}\\n")
    time.sleep(seconds)
    return store.Stored({"name": "k", "numbers": [1, 2]}, b"code" * 100)
print(store.load_or_make(path, make).head["numbers"])
"""


def start(*argv: object, code: str = MAKE, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, argv)],
        env={**os.environ, "PYTHONPATH": str(KERNELS), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.strip()


def test_eight_processes_on_a_cold_cache_make_a_kernel_once(tmp_path: Path) -> None:
    path, log = tmp_path / "one.kernel", tmp_path / "log"
    processes = [start(path, log, 0.5) for _ in range(8)]
    assert {said(process) for process in processes} == {"[1, 2]"}
    assert len(log.read_text().split()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "one.kernel"]


def test_a_process_that_is_killed_while_it_compiles_holds_nobody_up(tmp_path: Path) -> None:
    path, log = tmp_path / "one.kernel", tmp_path / "log"
    first = start(path, log, 60)
    while not log.exists():
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert said(start(path, log, 0)) == "[1, 2]"
    assert len(log.read_text().split()) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "one.kernel"]


def test_a_lock_of_another_machine_is_broken_when_nobody_refreshes_it(tmp_path: Path) -> None:
    path, log = tmp_path / "one.kernel", tmp_path / "log"
    lock = tmp_path / "one.kernel.lock"
    lock.write_text("another-machine 1\n")
    assert said(start(path, log, 0, STALE="0.3")) == "[1, 2]"
    assert not lock.exists()


def test_a_holder_that_compiles_for_long_is_waited_for(tmp_path: Path) -> None:
    path, log = tmp_path / "one.kernel", tmp_path / "log"
    # "another machine's": its process cannot be looked up, only its refreshing be seen
    named = MAKE.replace("def make", "lock.socket.gethostname = lambda: sys.argv[4]\ndef make")
    first = start(path, log, 4, "here", code=named, STALE="2")
    while not log.exists():
        time.sleep(0.02)
    second = start(path, log, 0, "there", code=named, STALE="2")
    assert (said(first), said(second)) == ("[1, 2]", "[1, 2]")
    assert len(log.read_text().split()) == 1


CALL = """
import json, os, sys
from mambaops_kernels import store
path = sys.argv[1]
first = store.Stored({"name": "k"}, bytes(range(256)))
"""


def call(lines: str, *argv: object, **env: str) -> object:
    return json.loads(said(start(*argv, code=CALL + lines, **env)))


@pytest.mark.parametrize(
    "damage",
    [
        "data[:-1]",
        "data[:40]",
        "b''",
        "data[:-1] + bytes([data[-1] ^ 1])",
        "data.replace(b'mambaops-kernel-1', b'mambaops-kernel-0')",
        "b'[]' + data",
    ],
)
def test_a_damaged_file_counts_as_absent(tmp_path: Path, damage: str) -> None:
    lines = f"""
data = store.encode(first)
assert store.decode(data).code == first.code
open(path, "wb").write({damage})
os.chmod(path, 0o600)
print(json.dumps([store.load(path) is None, store.load_or_make(path, lambda: first).head["name"], store.load(path) is None]))
"""
    assert call(lines, tmp_path / "k") == [True, "k", False]


def test_what_cannot_be_kept_is_used_all_the_same(tmp_path: Path) -> None:
    """A limit on the size of files, as a full disk: nothing half-written stays."""
    lines = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
print(json.dumps([store.load_or_make(path, lambda: first).head["name"], sorted(os.listdir(os.path.dirname(path)))]))
"""
    assert call(lines, tmp_path / "k") == ["k", []]


def test_a_file_that_others_may_write_to_is_not_read(tmp_path: Path) -> None:
    lines = """
found = []
store.save(path, first)
for mode in (0o600, 0o620, 0o602):
    os.chmod(path, mode); found.append(store.load(path) is not None)
print(json.dumps(found))
"""
    assert call(lines, tmp_path / "k") == [True, False, False]


PLACE = "from mambaops_kernels import places\nprint(json.dumps(places.cache_folder()))"


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    assert call(PLACE, "", MAMBAOPS_CACHE=str(tmp_path / "c")) == str(tmp_path / "c/kernels")
    assert _mode(tmp_path / "c/kernels") == 0o700


def test_rights_to_read_are_taken_away_from_others(tmp_path: Path) -> None:
    (tmp_path / "kernels").mkdir(mode=0o755)
    assert call(PLACE, "", MAMBAOPS_CACHE=str(tmp_path)) == str(tmp_path / "kernels")
    assert _mode(tmp_path / "kernels") == 0o700


@pytest.mark.parametrize("kind", ["writable", "file", "link"])
def test_a_folder_that_is_not_ours_alone_is_passed_over_aloud(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "kernels"
    if kind == "writable":
        folder.mkdir()
        folder.chmod(0o777)
    elif kind == "file":
        folder.write_text("")
    else:
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "elsewhere")
    process = start("", code=CALL + PLACE, MAMBAOPS_CACHE=str(tmp_path), TMPDIR=str(tmp_path))
    out, err = process.communicate(timeout=60)
    taken = Path(json.loads(out))
    assert taken.parent == tmp_path and taken.name.startswith("mambaops-kernels-")
    assert _mode(taken) == 0o700
    assert (
        f"kernels are not kept in {folder}" in err and "MAMBAOPS_CACHE names another place" in err
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to what is read-only")
def test_a_read_only_home(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o500)
    cache = str(tmp_path / "home/c")
    process = start("", code=CALL + PLACE, MAMBAOPS_CACHE=cache, TMPDIR=str(tmp_path))
    out, err = process.communicate(timeout=60)
    assert Path(json.loads(out)).parent == tmp_path
    assert "Permission denied" in err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_users_folder_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "kernels").mkdir(mode=0o700)
    os.chown(tmp_path / "kernels", 12345, 12345)
    process = start("", code=CALL + PLACE, MAMBAOPS_CACHE=str(tmp_path), TMPDIR=str(tmp_path))
    out, err = process.communicate(timeout=60)
    assert Path(json.loads(out)).name.startswith("mambaops-kernels-")
    assert "it belongs to user 12345" in err
