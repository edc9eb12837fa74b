"""`mambaops fleet …` on the nodes of a real Slurm: facts by jobs, a drained node, a job that is killed and queued again."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from one_slurm import NoSlurm, slurm
from ssh_hosts import Server, rows

Hosts = Callable[..., Path]
Fleet = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where its configuration lies; skipped with the reason where there can be none."""
    try:
        with slurm(tmp_path_factory.mktemp("slurm")) as variables:
            yield variables["SLURM_CONF"]
    except NoSlurm as reason:
        pytest.skip(str(reason))


@pytest.fixture
def login(
    cluster: str, sshd: Server, machines: dict[str, dict[str, Any]]
) -> Callable[..., dict[str, Any]]:
    """A login node: Slurm's commands find the cluster. Its nodes have the A800 of the stand-in."""
    commands = ("sinfo", "srun", "sbatch", "scontrol", "scancel", "squeue")
    for name in commands:
        program = sshd.home() / "bin" / name
        program.write_text(f'#!/bin/sh\nSLURM_CONF={cluster} exec /usr/bin/{name} "$@"\n')
        program.chmod(0o755)

    def host(**slurm: Any) -> dict[str, Any]:
        return {**machines["a800"], "slurm": {"partition": "gpu", **slurm}, "timeout": 60}

    return host


def scontrol(cluster: str, *words: str) -> str:
    argv = ["scontrol", *words]
    env = {"SLURM_CONF": cluster, "PATH": "/usr/bin:/bin"}
    return subprocess.run(argv, env=env, check=False, capture_output=True, text=True).stdout


def test_facts_of_each_node_by_a_job_and_a_drained_one_says_why(
    login: Callable[..., dict[str, Any]], cluster: str, hosts: Hosts, fleet: Fleet, lab: Path
) -> None:
    hosts({"lab": login()})
    scontrol(cluster, "update", "nodename=gpu2", "state=drain", "reason=fan is broken")
    try:
        done = fleet("facts", "--json")
    finally:
        scontrol(cluster, "update", "nodename=gpu2", "state=resume")
    found = rows(done)
    assert {name: (row["outcome"], row["reason"]) for name, row in found.items()} == {
        "lab.gpu1": ("ok", ""),
        "lab.gpu2": ("unreachable", "Slurm has it drained: fan is broken"),
    }
    assert done.returncode == 1
    assert found["lab.gpu1"]["facts"]["gpus"][0]["name"] == "NVIDIA A800 80GB PCIe"
    # it was a job there, and not the login node itself
    assert "JobName=env" in scontrol(cluster, "show", "job", "-o")
    kept = rows(fleet("doctor", "--kept", "--json"))
    assert list(kept) == ["lab.gpu1", "lab.gpu2"]
    plan = json.loads(fleet("plan", "--kept", "--packs", "--json").stdout)
    assert [pack["hosts"] for pack in plan["packs"]["packs"]] == [["lab.gpu1"]]
    assert fleet("report").returncode == 0
    assert "lab.gpu1" in (lab / "fleet.html").read_text()


def test_what_slurm_does_not_have_or_give_is_said(
    login: Callable[..., dict[str, Any]], cluster: str, hosts: Hosts, fleet: Fleet, sshd: Server
) -> None:
    busy = {**login(node="gpu1"), "timeout": 4}
    hosts({"none": login(partition="big"), "busy": busy})
    script = "#!/bin/sh\nsleep 100\n"
    env = {"SLURM_CONF": cluster, "PATH": "/usr/bin:/bin"}
    words = ["sbatch", "--parsable", "-p", "gpu", "-w", "gpu1", "--exclusive", "-o", "/dev/null"]
    job = subprocess.run(
        words, input=script, env=env, check=True, capture_output=True, text=True, cwd="/tmp"
    ).stdout.strip()
    _until(lambda: "JobState=RUNNING" in scontrol(cluster, "show", "job", job))
    try:
        found = rows(fleet("facts", "--json"))
    finally:
        subprocess.run(["scancel", job], env=env, check=True)
    assert found["none"]["reason"] == "Slurm has no big; there are: gpu, cpu*"
    assert "Slurm gave it no job within 2 s" in found["busy.gpu1"]["reason"]


def test_a_build_is_a_job_that_is_queued_again_and_found_again(
    login: Callable[..., dict[str, Any]],
    cluster: str,
    hosts: Hosts,
    fleet: Fleet,
    sshd: Server,
    bundle: Callable[..., Path],
    homes: Callable[..., Path],
) -> None:
    file = bundle(then=f"while [ ! -e {homes()}/go ]; do sleep 0.1; done; echo later")
    hosts({"lab": {**login(gpus=1), "bundle": str(file)}})
    started = rows(fleet("build", "--detach", "--json"))["lab"]
    assert (started["outcome"], started["how"]) == ("running", "slurm"), started
    job = (homes() / "jobs" / "build" / "slurm").read_text().strip()
    _until(lambda: "installing" in (homes() / "jobs" / "build" / "log").read_text())
    assert rows(fleet("build", "--detach", "--json"))["lab"]["how"] == "runs already"
    scontrol(cluster, "requeue", job)
    again = threading.Thread(target=_let_go, args=(cluster, job, homes() / "go"), daemon=True)
    again.start()
    done = fleet("attach", "--json")
    again.join(30)
    assert rows(done)["lab"]["outcome"] == "ok", done.stdout + done.stderr
    assert "Restarts=1" in scontrol(cluster, "show", "job", "-o", job)
    assert "lab: later" in done.stderr
    assert f"(Slurm: job {job} JobState=" in done.stderr
    # the environment's modules, imported by a job on a node
    proof = rows(fleet("verify", "--json"))["lab"]
    assert [one["outcome"] for one in proof["checks"]] == ["ok", "ok", "skipped"]
    assert rows(fleet("build", "--json"))["lab"]["how"] == "unchanged"


def _let_go(cluster: str, job: str, file: Path) -> None:
    """Slurm lets a job that was queued again wait for two minutes, unless it is told otherwise."""
    _until(lambda: "Restarts=1" in scontrol(cluster, "show", "job", "-o", job))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()

    def runs() -> bool:
        scontrol(cluster, "update", f"jobid={job}", "starttime=now")
        return "JobState=PENDING" not in scontrol(cluster, "show", "job", "-o", job)

    _until(runs)


def test_a_job_is_cancelled_and_one_that_slurm_refuses_is_said(
    login: Callable[..., dict[str, Any]],
    cluster: str,
    hosts: Hosts,
    fleet: Fleet,
    bundle: Callable[..., Path],
    homes: Callable[..., Path],
) -> None:
    file = str(bundle(then="sleep 60"))
    hosts({"lab": {**login(), "bundle": file}})
    assert rows(fleet("build", "--detach", "--json"))["lab"]["outcome"] == "running"
    job = (homes() / "jobs" / "build" / "slurm").read_text().strip()
    assert fleet("attach", "--stop").returncode == 0
    _until(lambda: "JobState=CANCELLED" in scontrol(cluster, "show", "job", "-o", job))
    hosts({"lab": {**login(gpus=9), "bundle": file}})
    refused = rows(fleet("build", "--json"))["lab"]
    assert "Slurm did not take it: sbatch: error:" in refused["reason"]


def _until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.3)
    assert ready()
