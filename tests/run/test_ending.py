"""A signal ends a run with everything that it has started, and only then the lock is free."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mambaops.core.paths import PACKAGE

# stands in for virtualenv: it starts a child that ignores SIGTERM and says whether the lock is held when it comes
VIRTUALENV = """
import fcntl, os, pathlib, signal, subprocess, sys, time
folder = pathlib.Path({folder!r})
CHILD = '''
import fcntl, os, pathlib, signal, sys, time
folder, lock = map(pathlib.Path, sys.argv[1:])
def asked(number, frame):
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            said = "free"
        except OSError:
            said = "held"
    (folder / "lock").write_text(said)
    if not (folder / "stubborn").exists(): sys.exit()
signal.signal(signal.SIGTERM, asked)
(folder / "child.part").write_text(str(os.getpid()))
(folder / "child.part").rename(folder / "child")
while True: time.sleep(60)
'''
(lock,) = (folder / "home" / "state").glob("*.lock")
if not (folder / "child").exists():
    subprocess.run([sys.executable, "-c", CHILD, folder, lock])
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "virtualenv.py").write_text(VIRTUALENV.format(folder=str(tmp_path)))
    yield tmp_path
    if (tmp_path / "child").exists():
        pid = int((tmp_path / "child").read_text())
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)


def start(place: Path, *words: str, front: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    argv = [*front, sys.executable, "-m", "mambaops", *(words or ("create-venv", "--python", here))]
    env = {
        **os.environ,
        "PYTHONPATH": f"{PACKAGE.parent}:{place}/modules",
        "MAMBAOPS_HOME": str(place / "home"),
    }
    return subprocess.Popen(
        argv, env=env, cwd=place, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def child(place: Path, running: subprocess.Popen[str]) -> int:
    for _ in range(6000):
        if (place / "child").exists():
            return int((place / "child").read_text())
        if running.poll() is not None:
            break
        time.sleep(0.01)
    running.kill()
    raise AssertionError(running.communicate())


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [
        (signal.SIGTERM, 143, "terminated: what is whole is kept"),
        (signal.SIGHUP, 129, "the terminal has gone: what is whole is kept"),
        (signal.SIGINT, 130, "interrupted: what is whole is kept"),
    ],
)
def test_everything_ends_and_only_then_the_lock_is_free(
    place: Path, number: int, status: int, said: str
) -> None:
    if number == signal.SIGTERM:
        (place / "stubborn").touch()  # five seconds until it is killed
    running = start(place)
    pid = child(place, running)
    running.send_signal(number)
    _, told = running.communicate(timeout=60)
    assert not runs(pid)
    assert running.returncode == status
    assert said in told
    assert "trying once more" not in told
    assert (place / "lock").read_text() == "held"


def test_a_second_signal_does_not_wait_for_the_stubborn(place: Path) -> None:
    (place / "stubborn").touch()
    running = start(place)
    pid = child(place, running)
    running.send_signal(signal.SIGTERM)
    while not (place / "lock").exists():
        time.sleep(0.01)
    running.send_signal(signal.SIGTERM)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 143, told
    assert not runs(pid)


def test_nohup_is_kept(place: Path) -> None:
    running = start(place, front=("nohup",))
    pid = child(place, running)
    running.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert running.poll() is None
    assert runs(pid)
    running.send_signal(signal.SIGTERM)
    said = running.communicate(timeout=60)
    for _ in range(100):  # that it is gone before the lock is free is the first test's
        if not runs(pid):
            break
        time.sleep(0.1)
    assert not runs(pid), said


def test_what_a_killed_run_left_is_ended_by_the_next_one(place: Path) -> None:
    running = start(place)
    pid = child(place, running)
    running.kill()
    running.communicate()
    assert runs(pid)
    again = start(place)
    _, told = again.communicate(timeout=60)
    assert "ended what a killed run has left: " in told
    assert not runs(pid)


THREADS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from mambaops.cli.carry_out import carry_out
from mambaops.cli.command import Words
from mambaops.cli.faults import guarded
from mambaops.cli.task import task
from mambaops.core import process
CHILD = "import pathlib, signal, sys, time, os; signal.signal(15, signal.SIG_IGN); p = pathlib.Path(sys.argv[1]); p.with_suffix('.part').write_text(str(os.getpid())); p.with_suffix('.part').rename(p); time.sleep(60)"
@task(name="x")
def x(c):
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: process.run([sys.executable, "-c", CHILD, name]), sys.argv[1:]))
sys.exit(guarded(lambda: carry_out(x, Words([]), {})))
"""


def test_commands_that_threads_have_started_end_too(tmp_path: Path) -> None:
    files = [tmp_path / "a", tmp_path / "b"]
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    running = subprocess.Popen([sys.executable, "-c", THREADS, *files], env=env)
    while not all(path.exists() for path in files):
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 143
    assert [path for path in files if runs(int(path.read_text()))] == []
