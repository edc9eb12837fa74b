"""Arrays on a real Slurm: followed, failed, killed and queued again, refused; and what `sinfo` says of its nodes."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest

from mambaops.core.errors import MachineError
from mambaops.run.array import Limits, chosen, limits
from mambaops.slurm import array
from mambaops.slurm.jobs import numbers, parse
from mambaops.slurm.nodes import Node, in_partition, minutes, partitions


def scontrol(*words: str) -> None:
    subprocess.run(["scontrol", *words], check=True, capture_output=True)


def node(**changes: object) -> Node:
    values: dict[str, object] = {
        "name": "n1", "partition": "gpu", "is_default": True, "state": "idle", "cpus": 64,
        "memory": 256000, "gres": "", "longest": None, "usual": None, "reason": "",
    }  # fmt: skip
    return Node(**{**values, **changes})  # type: ignore[arg-type]


def test_the_clusters_nodes_partitions_and_limits(at_cluster: Path) -> None:
    found = array.cluster()
    assert partitions(found) == ["gpu", "cpu*"]
    told = {one.name: (one.state, one.cpus, one.has_gpu, one.longest, one.usual) for one in found}
    assert told == {
        "gpu1": ("idle", 2, True, 120, 10),
        "gpu2": ("idle", 2, True, 120, 10),
        "plain": ("idle", 4, False, 1440, None),
    }
    assert [one.name for one in in_partition(found, "")] == ["plain"]
    with pytest.raises(MachineError, match=r"no partition `big`; there are: gpu, cpu\*"):
        chosen(found, "big")


def test_a_drained_node_says_why_and_a_partition_without_another_takes_nothing(
    at_cluster: Path,
) -> None:
    scontrol("update", "nodename=plain", "state=drain", "reason=new disk")
    try:
        (found,) = in_partition(array.cluster(), "cpu")
        assert (found.takes_jobs, found.reason) == (False, "new disk")
        with pytest.raises(MachineError, match=r"no node takes jobs: plain: drained \(new disk\)"):
            limits([found], 2.0)
    finally:
        scontrol("update", "nodename=plain", "state=resume")


@pytest.mark.timeout(120)
def test_tasks_are_followed_to_their_ends_and_each_has_its_own(at_cluster: Path) -> None:
    lines: list[str] = []
    job = array.submit(
        at_cluster / "a",
        "mambaops-test-ends",
        ["echo one; printf 'no newline'", "echo 'it is \"two\"'; exit 3"],
        ["--partition=gpu", "--cpus-per-task=1", "--mem=100M"],
    )
    ended = array.follow(job, at_cluster / "a", ["first", "second"], lines.append)
    assert [(one.name, one.status, one.job) for one in ended] == [
        ("first", 0, f"{job}_0"), ("second", 3, f"{job}_1"),
    ]  # fmt: skip
    assert ended[1].reason == "it exited 3"
    for line in ("first: one", "first: no newline", 'second: it is "two"'):
        assert lines.count(line) == 1
    assert any("FAILED" in line and line.startswith("second: job") for line in lines)


@pytest.mark.timeout(300)
def test_a_task_that_is_killed_is_queued_again_and_ends_well(at_cluster: Path) -> None:
    lines: list[str] = []
    work = f"echo $$ >>{at_cluster}/pids; while [ ! -e {at_cluster}/go ]; do sleep 0.2; done; echo whole"
    job = array.submit(
        at_cluster / "a", "mambaops-test-kill", [work], ["--partition=gpu", "--mem=100M"]
    )
    kills = threading.Thread(target=_kill_once, args=(at_cluster, job), daemon=True)
    kills.start()
    (ended,) = array.follow(job, at_cluster / "a", ["kernels"], lines.append)
    kills.join(10)
    assert (ended.status, ended.restarts) == (0, 1)
    assert "kernels: whole" in lines
    assert any("queued again once" in line for line in lines)
    assert any("it was killed" in line for line in lines)


def _kill_once(folder: Path, job: str) -> None:
    """As the system does it that has no memory left; then Slurm need not let it wait its two minutes."""
    _until((folder / "pids").exists)
    os.kill(int((folder / "pids").read_text().split()[0]), 9)
    _until(lambda: "Restarts=1" in _shown(job))
    (folder / "go").touch()
    while not re.search("JobState=(RUNNING|COMPLETED)", _shown(job)):
        subprocess.run(
            ["scontrol", "update", f"jobid={job}", "starttime=now"],
            check=False, capture_output=True,
        )  # fmt: skip
        time.sleep(0.5)


def _shown(job: str) -> str:
    argv = ["scontrol", "show", "job", "-o", job]
    return subprocess.run(argv, check=False, capture_output=True, text=True).stdout


def _until(ready: object) -> None:
    assert callable(ready)
    deadline = time.monotonic() + 60
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.2)


@pytest.mark.timeout(120)
def test_an_array_that_runs_is_found_by_its_name_and_one_that_is_cancelled_is_no_success(
    at_cluster: Path,
) -> None:
    assert array.running("mambaops-test-found") == ""
    job = array.submit(
        at_cluster / "a", "mambaops-test-found", ["sleep 60"], ["--partition=gpu", "--mem=100M"]
    )
    assert array.running("mambaops-test-found") == job
    subprocess.run(["scancel", job], check=True)
    (ended,) = array.follow(job, at_cluster / "a", ["x"], lambda line: None)
    assert (ended.status, ended.reason.partition(":")[0]) == (None, "CANCELLED")


def test_what_slurm_does_not_take_is_said_in_its_words(at_cluster: Path) -> None:
    with pytest.raises(MachineError, match=r"does not take the job: .*Invalid partition"):
        array.submit(at_cluster / "a", "x", ["true"], ["--partition=nowhere"])


def test_without_slurm_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="no `sbatch` is on PATH"):
        array.cluster()


@pytest.mark.parametrize(
    ("nodes", "each", "jobs", "wanted"),
    [
        # few cores; memory for them; the time that the partition allows
        ([node(cpus=4, longest=120)], 2.0, 0, Limits(cpus=4, memory=8192, minutes=120)),
        # memory is scarcer than cores
        ([node(memory=10000)], 4.0, 0, Limits(cpus=2, memory=8192, minutes=720)),
        # Slurm does not count memory here: none is asked for
        ([node(memory=1, cpus=8)], 4.0, 0, Limits(cpus=8, memory=0, minutes=720)),
        # the smallest node counts, one that is down does not
        ([node(cpus=8), node(cpus=6), node(cpus=2, state="down*")], 2.0, 0,
         Limits(cpus=6, memory=12288, minutes=720)),
        # never more than help; as asked for, but no more than there are
        ([node(cpus=128)], 2.0, 0, Limits(cpus=16, memory=32768, minutes=720)),
        ([node(cpus=128)], 2.0, 3, Limits(cpus=3, memory=6144, minutes=720)),
        ([node(cpus=2)], 2.0, 9, Limits(cpus=2, memory=4096, minutes=720)),
        # a task that fits no memory is given what there is
        ([node(memory=1500)], 4.0, 0, Limits(cpus=1, memory=1500, minutes=720)),
    ],
)  # fmt: skip
def test_what_a_task_is_asked_for(
    nodes: list[Node], each: float, jobs: int, wanted: Limits
) -> None:
    assert limits(nodes, each, jobs) == wanted


def test_the_persons_own_time_says_more(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Limits(cpus=2, memory=0, minutes=60)
    assert asked.words() == ["--cpus-per-task=2", "--time=60"]
    monkeypatch.setenv("SBATCH_TIMELIMIT", "5")
    assert asked.words() == ["--cpus-per-task=2"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("1-00:00:00", 1440), ("2:00:00", 120), ("10:00", 10), ("infinite", None), ("n/a", None),
     ("UNLIMITED", None), ("7-12:30:00", 10830)],
)  # fmt: skip
def test_limits_of_time(text: str, wanted: int | None) -> None:
    assert minutes(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"), [("0-2,5", [0, 1, 2, 5]), ("3", [3]), ("0-1%1", [0, 1])]
)
def test_the_numbers_of_an_array(text: str, wanted: list[int]) -> None:
    assert numbers(text) == wanted


def test_a_task_that_slurm_holds_since_it_could_not_start_it_is_over() -> None:
    line = (
        "JobId=7 ArrayJobId=7 ArrayTaskId=0 JobState=PENDING Reason={} Restarts=1 NodeList=(null)"
    )
    (held,) = parse(line.format("launch_failed_requeued_held")).values()
    (waits,) = parse(line.format("BeginTime")).values()
    assert (held.is_over, waits.is_over) == (True, False)


def test_tasks_that_wait_stand_on_one_line() -> None:
    text = (
        "JobId=7 ArrayJobId=7 ArrayTaskId=1-2 JobName=x JobState=PENDING Reason=Resources Restarts=0 NodeList=(null)\n"
        "JobId=8 ArrayJobId=7 ArrayTaskId=0 JobState=RUNNING Reason=None Restarts=2 NodeList=n3\n"
    )
    told = {number: task.told() for number, task in parse(text).items()}
    assert told == {
        0: "RUNNING on n3, queued again 2 times",
        1: "PENDING: Resources",
        2: "PENDING: Resources",
    }
