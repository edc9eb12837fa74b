"""The installed distribution as a folder, and a child process that runs it on a stand-in for the driver."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import kernel_sources
import pytest
from kernel_runs import Finished, Run

from mambaops.core.paths import PACKAGE
from mambaops.runtime.wheel import files_of, write_tree

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for `PYTHONPATH` with what the wheel holds."""
    files = files_of(kernel_sources.newest(), kernel_sources.cccl())
    return write_tree(files, tmp_path_factory.mktemp("kernels") / "site-packages")


@pytest.fixture(scope="session")
def compiled_before() -> Path:
    """A cache that outlives the run: a kernel of the same sources is compiled once per machine."""
    folder = kernel_sources.FOLDER / "compiled"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def libcuda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the recording stand-in."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("the stand-in for the driver is C, and there is no gcc")
    folder = tmp_path_factory.mktemp("driver")
    library = folder / "libcuda.so.1"
    source = HERE / "recording_libcuda.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return folder


@pytest.fixture(scope="session")
def zygote(installed: Path, libcuda: Path) -> Iterator[subprocess.Popen[str]]:
    """A process with torch and the modules imported, which forks for every piece of a test."""
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(installed), str(HERE), str(PACKAGE.parent)]),
        "LD_LIBRARY_PATH": str(libcuda),
        "OMP_NUM_THREADS": "1",
    }
    argv = [sys.executable, str(HERE / "zygote.py")]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, env=env, stdin=pipe, stdout=pipe, text=True) as process:
        yield process
        # said, and not only closed: a process that a test forked may hold the pipe's other end for long
        assert process.stdin is not None
        process.stdin.write("end\n")
        process.stdin.close()


@pytest.fixture
def run(zygote: subprocess.Popen[str], compiled_before: Path, tmp_path: Path) -> Run:
    """Run lines of Python with the modules installed, torch's GPU side stood in for, and the driver recorded."""

    def started(lines: str, *, check: bool = True, cuda: str = "12.1", **env: str) -> Finished:
        values = {
            "RECORD": str(tmp_path / "record"),
            "PARAMS": "0",
            "MAMBAOPS_CACHE": str(compiled_before),
            "MAMBAOPS_NVRTC": str(kernel_sources.nvrtc(cuda)),
            **env,
        }
        code = f"import torch; torch.version.cuda = {cuda!r}\n{lines}"
        out, err = tmp_path / "out", tmp_path / "err"
        for path in (out, err):
            path.unlink(missing_ok=True)
        request = {"code": code, "env": values, "out": str(out), "err": str(err)}
        assert zygote.stdin is not None and zygote.stdout is not None
        zygote.stdin.write(json.dumps(request) + "\n")
        zygote.stdin.flush()
        done = Finished(int(zygote.stdout.readline()), out.read_text(), err.read_text())
        assert not check or done.returncode == 0, done.stderr
        return done

    return started


@pytest.fixture
def record(tmp_path: Path) -> Callable[[], list[str]]:
    """The driver's calls so far."""
    path = tmp_path / "record"
    return lambda: path.read_text().splitlines() if path.exists() else []
