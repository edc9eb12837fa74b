"""Ending a process that holds a GPU: one of our own that is named, never another."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mambaops.core.errors import UsageError
from mambaops.gpu import holders as gpu_holders


def _nvml_answers() -> bool:
    return gpu_holders._by_nvml() is not None


pytestmark = pytest.mark.skipif(_nvml_answers(), reason="a real driver answers before the stand-in")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def stubborn() -> Iterator[subprocess.Popen[bytes]]:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(300)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()


def smi(folder: Path, *rows: str) -> str:
    """A PATH whose nvidia-smi lists these processes as a real one (535, csv) does."""
    listed = "\\n".join(rows)
    program = folder / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '*--query-gpu=*) echo "0, GPU-5f2d1c7e-0000-1111-2222-333344445555" ;;\n'
        f"*--query-compute-apps=*) printf '{listed}\\n' ;;\n"
        "esac\n"
    )
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def row(pid: int, memory: str = "70210") -> str:
    return f"GPU-5f2d1c7e-0000-1111-2222-333344445555, {pid}, {memory}"


def release_gpu(*words: str, path: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "mambaops", "release-gpu", *words]
    return subprocess.run(
        argv,
        check=False,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def test_listing(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    done = release_gpu("--json", path=smi(tmp_path, row(child.pid), row(999_999_9, "[N/A]")))
    mine, other = json.loads(done.stdout)["holders"]
    assert (mine["pid"], mine["gpu"], mine["memory"], mine["mine"]) == (
        child.pid,
        0,
        70210 << 20,
        True,
    )
    assert "time.sleep(300)" in mine["command"]
    assert 0 <= mine["seconds"] < 60
    assert (other["memory"], other["command"]) == (None, None)


def test_nothing_is_ended_without_being_asked(
    tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    done = release_gpu("--pid", str(child.pid), path=smi(tmp_path, row(child.pid)))
    assert done.returncode == 2
    assert f"end process {child.pid}: nobody can be asked here" in done.stderr
    assert child.poll() is None


def test_the_process_that_is_named_is_ended(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    done = release_gpu("--pid", str(child.pid), "--yes", path=smi(tmp_path, row(child.pid)))
    assert done.returncode == 0, done.stderr
    assert "ended by SIGTERM" in done.stdout
    assert child.wait(10) == -signal.SIGTERM


def test_one_that_does_not_react_is_killed_after_the_grace(
    tmp_path: Path, stubborn: subprocess.Popen[bytes]
) -> None:
    done = release_gpu(
        "--pid", str(stubborn.pid), "--yes", "--grace", "1", path=smi(tmp_path, row(stubborn.pid))
    )
    assert "ended by SIGKILL" in done.stdout
    assert stubborn.wait(10) == -signal.SIGKILL


def test_a_process_without_gpu_memory_is_refused(
    tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    done = release_gpu("--pid", str(child.pid), "--yes", path=smi(tmp_path, row(1)))
    assert done.returncode == 2
    assert "holds no GPU memory" in done.stderr
    assert child.poll() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's process can be made by root only")
def test_another_persons_process_is_refused_even_for_root(tmp_path: Path) -> None:
    other = subprocess.Popen(["/bin/sleep", "300"], user=65534)
    try:
        done = release_gpu("--pid", str(other.pid), "--yes", path=smi(tmp_path, row(other.pid)))
        assert done.returncode == 2
        assert "not to you" in done.stderr
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_number_that_was_given_to_another_process_is_not_ended(
    child: subprocess.Popen[bytes],
) -> None:
    holder = gpu_holders.Holder(gpu=0, pid=child.pid, started=time.time() - 9999, mine=True)
    assert gpu_holders.end(holder, grace=1) == "had ended already"
    assert child.poll() is None


def test_one_that_cannot_be_seen_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be seen"):
        gpu_holders.chosen(5, [gpu_holders.Holder(gpu=0, pid=5)])


def test_no_driver_is_said(tmp_path: Path) -> None:
    done = release_gpu(path=str(tmp_path))
    assert done.returncode == 4
    assert "neither NVML nor nvidia-smi" in done.stderr


def test_a_driver_that_fails_is_said(tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\necho 'Failed to initialize NVML: Driver/library version mismatch'\nexit 18\n"
    )
    program.chmod(0o755)
    done = release_gpu(path=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 4
    assert "version mismatch" in done.stderr
