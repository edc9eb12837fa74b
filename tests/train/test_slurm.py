"""The script for sbatch on a real Slurm of one machine: two ranks, a job sent away, a rank killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import one_slurm
import pytest

from mambaops.payload.train import trainlog
from mambaops.train.launch import write_launcher

Flags = Callable[..., list[str]]


def until(holds: Callable[[], bool], what: Callable[[], object], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, what()
        time.sleep(0.3)


def asked(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False).stdout


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The variables of jobs and of Slurm's commands, which speak to a Slurm of this test's own."""
    monkeypatch.setenv("PYTHON", sys.executable)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with contextlib.ExitStack() as stack:
        try:
            variables = stack.enter_context(one_slurm.slurm(tmp_path / "slurm"))
        except one_slurm.NoSlurm as error:
            pytest.skip(f"no Slurm: {error}")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield
        asked("scancel", "--me")
        until(lambda: not asked("squeue", "--noheader"), lambda: asked("squeue"), 60)


class Job:
    """A run of the script in two ranks."""

    def __init__(self, script: Path, words: list[str], out: Path) -> None:
        self.out, self.text = out, script.parent / f"{out.name}.log"
        said = subprocess.run(
            ["sbatch", "--parsable", "--ntasks=2", "--mem=0", f"--output={self.text}", script, *words,
             "--output_dir", str(out)],
            capture_output=True, text=True, check=False, cwd=script.parent,
        )  # fmt: skip
        assert said.returncode == 0, said.stderr
        self.number = said.stdout.strip()

    def rows(self) -> list[list[float]]:
        return [row[:4] for row in trainlog.read_log(str(self.out / "stage2_train_log.csv"))]

    def shown(self) -> str:
        log = self.text.read_text() if self.text.exists() else "no output"
        return asked("scontrol", "show", "job", self.number) + log

    def reaches(self, rows: int) -> None:
        until(lambda: len(self.rows()) >= rows, self.shown)

    def ends(self) -> str:
        """What it wrote, in all its parts."""
        # Slurm starts what is queued again after two minutes
        until(lambda: "JobState=COMPLETED" in self.shown(), self.shown, 400)
        return self.text.read_text()

    def rank(self, number: int) -> int:
        """The process of a rank."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
                variables = (process / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(self.out).encode() in words and f"RANK={number}".encode() in variables:
                return int(process.name)
        raise AssertionError(self.shown())


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_two_ranks_a_job_sent_away_and_a_killed_rank_have_the_curve_of_one_process(
    environment: None,
    flags: Flags,
    train: Callable[[list[str]], None],
    tmp_path: Path,
) -> None:
    script = write_launcher("slurm", tmp_path / "stage2.sbatch", "local")
    common = {"epochs": 20, "val_csv": "", "save_every_steps": 1, "output_dir": ""}
    words = flags(batch_size=4, **common)

    whole = Job(script, words, tmp_path / "whole")
    said = whole.ends()
    assert "x 2 process(es)" in said
    train([*flags(batch_size=8, **common), "--output_dir", str(tmp_path / "one")])
    one = [row[:4] for row in trainlog.read_log(str(tmp_path / "one" / "stage2_train_log.csv"))]
    assert len(one) == 40
    for there, here in zip(whole.rows(), one, strict=True):
        assert there == pytest.approx(here, rel=1e-3, abs=2e-5)

    sent = Job(script, words, tmp_path / "sent")
    sent.reaches(5)
    asked("scancel", "--signal=USR1", "--batch", sent.number)
    said = sent.ends()
    assert f"job {sent.number} is queued again" in said
    assert "resumed from" in said
    assert sent.rows() == whole.rows()

    killed = Job(script, words, tmp_path / "killed")
    killed.reaches(5)
    os.kill(killed.rank(1), signal.SIGKILL)
    said = killed.ends()
    assert f"job {killed.number} is queued again" in said
    assert "resumed from" in said
    assert killed.rows() == whole.rows()
