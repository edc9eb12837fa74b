"""What a command has started ends with it: children that ignore SIGTERM, and those that left group and tree."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mambaops.core import process, trees
from mambaops.core.errors import CommandFailed

# each notes its id; `stubborn` ignores SIGTERM, `away` leaves group, session and parent behind
PROGRAM = """
import os, pathlib, signal, subprocess, sys, time
folder, *kinds = sys.argv[1:]
def note(kind):
    aside = pathlib.Path(folder, f"{kind}.part"); aside.write_text(str(os.getpid())); aside.rename(pathlib.Path(folder, kind))
def wait():
    while True: time.sleep(60)
for kind in kinds:
    if os.fork() == 0:
        if kind == "away":
            os.setsid()
            if os.fork(): os._exit(0)
            os.closerange(0, 3)  # or whoever reads our output waits for it
        if kind in ("stubborn", "away"): signal.signal(signal.SIGTERM, signal.SIG_IGN)
        note(kind)
        if kind == "stopped": os.kill(os.getpid(), signal.SIGSTOP)
        wait()
while not all(pathlib.Path(folder, kind).exists() for kind in kinds): time.sleep(0.01)
note("first")
{then}
"""
KINDS = ["plain", "stubborn", "away", "stopped"]


def program(folder: Path, *kinds: str, then: str = "wait()") -> list[str | Path]:
    return [sys.executable, "-c", PROGRAM.replace("{then}", then), folder, *kinds]


def noted(folder: Path) -> dict[str, int]:
    return {path.name: int(path.read_text()) for path in folder.iterdir() if not path.suffix}


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(path: Path) -> None:
    for _ in range(3000):
        if path.exists():
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} did not come")


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "GRACE", 0.3)


def noted_until_the_time_was_over(folder: Path, *kinds: str) -> dict[str, int]:
    """The ids of what a command had started when its time was over; more time where the machine is busy."""
    for seconds in (2, 10, 50):
        own = folder / str(seconds)
        own.mkdir(parents=True)
        with pytest.raises(CommandFailed, match=f"was ended after {seconds} s"):
            process.run(program(own, *kinds), timeout=seconds)
        if "first" in (found := noted(own)):
            return found
    raise AssertionError(f"{kinds} were not started in 50 s")


def test_a_timeout_ends_everything_that_was_started(tmp_path: Path) -> None:
    found = noted_until_the_time_was_over(tmp_path, *KINDS)
    assert set(found) == {*KINDS, "first"}
    assert [kind for kind, pid in found.items() if runs(pid)] == []


def test_those_of_another_command_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    env = trees.marked(None, "other")
    with subprocess.Popen(program(folder, "away"), env=env) as other:
        try:
            wait_for(folder / "first")
            assert not runs(noted_until_the_time_was_over(tmp_path / "ours", "away")["away"])
            assert runs(noted(folder)["away"])
            left = trees.end_trees([(other.pid, env[trees.MARK])])
        finally:
            other.kill()
        assert left == []
        assert not runs(noted(folder)["away"])


def test_what_a_command_leaves_when_it_ends_well_stays(tmp_path: Path) -> None:
    """A compiler cache's server, say: nobody asked for its end."""
    process.run(program(tmp_path, "away", then="sys.exit(0)"))
    pid = noted(tmp_path)["away"]
    assert runs(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_server_for_every_build_is_no_ones(tmp_path: Path) -> None:
    env = {**trees.marked(None, "some"), "SCCACHE_START_SERVER": "1"}
    with subprocess.Popen(program(tmp_path), env=env) as server:
        wait_for(tmp_path / "first")
        assert trees.with_label("some") == []
        server.kill()


def test_marks_hold_those_above_and_never_ourselves(tmp_path: Path) -> None:
    code = (
        "from mambaops.core import process, trees; import sys\n"
        "env = trees.marked(None, 'inner'); print(env[trees.MARK])\n"
        "print([one.pid for one in trees.with_label('outer')])\n"
    )
    env = trees.marked(None, "outer")
    done = process.run([sys.executable, "-c", code], env=env)
    mark, found = done.stdout.splitlines()
    assert "/outer." in mark
    assert mark.split("/")[-1].startswith("inner.")
    assert found == "[]"


def test_one_that_hangs_before_it_has_read_everything_is_ended_all_the_same() -> None:
    text = "x" * (1 << 20)  # more than a pipe holds
    done = process.run([sys.executable, "-c", "input"], stdin=text, timeout=60, check=False)
    assert done.returncode == 0
    hangs = [sys.executable, "-c", "import time; time.sleep(600)"]
    assert process.run(hangs, stdin=text, timeout=0.5, check=False).timed_out


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc here")
def test_one_that_is_just_going_keeps_nobody_from_ending_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of a dying process may be empty, which psutil does not expect."""
    folder, proc = tmp_path / "noted", tmp_path / "proc"
    folder.mkdir()
    with subprocess.Popen(
        program(folder, "stubborn"), env=trees.marked(None, "going"), start_new_session=True
    ) as running:
        wait_for(folder / "first")
        proc.mkdir()
        for path in Path("/proc").iterdir():
            (proc / path.name).symlink_to(path)
        (proc / "9999999").mkdir()
        for name in ("stat", "status", "environ", "cmdline"):
            (proc / "9999999" / name).touch()
        monkeypatch.setattr(psutil, "PROCFS_PATH", str(proc))
        with pytest.raises(IndexError):
            psutil.Process(9999999)
        assert running.pid in {one.pid for one in trees.with_label("going")}
        assert trees.end_trees([(running.pid, "no mark")], grace=0.1) == []
    assert not runs(noted(folder)["stubborn"])
