"""The probe run for real: its shape, the host, settings of pip and uv."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from mambaops.core import process
from mambaops.core.paths import payload_file
from mambaops.facts.model import decode

Maker = Callable[..., Path]


def test_the_whole_shape_is_the_models(machine: Any) -> None:
    done = machine.run()
    facts = decode(done.stdout)
    assert done.stderr == ""
    assert facts.schema == 1
    assert facts.python.executable == sys.executable
    assert set(json.loads(done.stdout)) == set(facts.__struct_fields__)


def test_it_works_through_a_pipe() -> None:
    """As in `ssh host python3 - < probe.py`."""
    text = payload_file("probe.py").read_text()
    done = process.run([sys.executable, "-", "--only", "python,packages"], stdin=text)
    assert json.loads(done.stdout)["python"]["version"]
    assert "msgspec" not in done.stdout or "mambaops" in json.loads(done.stdout)["packages"]


def test_it_changes_nothing(machine: Any) -> None:
    before = sorted(str(path) for path in machine.folder.rglob("*"))
    machine.run()
    assert sorted(str(path) for path in machine.folder.rglob("*")) == before


def test_names_in_another_encoding(machine: Any) -> None:
    folder = machine.home / os.fsdecode(b".venv-\xff")
    folder.mkdir()
    (folder / "pyvenv.cfg").write_text("version = 3.10.12\n")
    machine.path = f"{folder}:{machine.path}"
    facts = decode(machine.run().stdout)
    assert any("\ufffd" in entry.path for entry in facts.environments)
    assert "\ufffd" in facts.env["PATH"]


def test_a_working_folder_that_was_removed(machine: Any) -> None:
    gone = machine.folder / "gone"
    gone.mkdir()
    script = f"cd {gone} && rmdir {gone} && exec {sys.executable} {payload_file('probe.py')}"
    done = process.run(["sh", "-c", script], env={"PATH": machine.path, "HOME": str(machine.home)})
    facts = decode(done.stdout)
    assert facts.host.disks[0].path == str(machine.home)
    assert facts.problems == []


def test_unknown_facts_are_refused(machine: Any) -> None:
    done = machine.run("--only", "host,cpu")
    assert done.returncode == 2
    assert "unknown facts: cpu" in done.stderr


def test_only_what_was_asked_for(machine: Any) -> None:
    facts = machine.look("--only", "clock,env")
    assert set(facts) == {"schema", "clock", "env", "sources", "problems"}


# --- host


def test_distribution_and_containers(machine: Any) -> None:
    machine.file(
        "/etc/os-release",
        'PRETTY_NAME="Ubuntu 20.04.6 LTS"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="20.04"\n'
        "VERSION_CODENAME=focal\n",
    )
    host = machine.look("--only", "host")["host"]
    assert host["distribution"] == {
        "id": "ubuntu",
        "version": "20.04",
        "name": "Ubuntu 20.04.6 LTS",
        "codename": "focal",
        "like": ["debian"],
    }
    assert host["container"] is None
    machine.file("/.dockerenv", "")
    assert machine.look("--only", "host")["host"]["container"] == "docker"
    machine.file("/run/.containerenv", "")
    assert machine.look("--only", "host")["host"]["container"] == "podman"
    machine.env = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert machine.look("--only", "host")["host"]["container"] == "kubernetes"


def test_a_bare_root_gives_a_host_all_the_same(machine: Any) -> None:
    host = machine.look("--only", "host")["host"]
    assert host["distribution"]["id"] is None
    assert host["memory_total"] is None
    assert host["cores"] >= 1


MEMINFO = (
    "MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\nSwapTotal: 0 kB\n"
)


def test_cgroup_2_limits(machine: Any) -> None:
    machine.file("/proc/meminfo", MEMINFO)
    machine.file("/proc/self/cgroup", "0::/user.slice/job\n")
    machine.file("/sys/fs/cgroup/user.slice/job/memory.max", "max\n")
    machine.file("/sys/fs/cgroup/user.slice/memory.max", f"{4 << 30}\n")  # the parent's counts
    machine.file("/sys/fs/cgroup/user.slice/job/cpu.max", "100000 100000\n")
    host = machine.look("--only", "host")["host"]
    assert host["memory_limit"] == 4 << 30
    assert host["memory_total"] == 16 << 30
    assert host["memory_available"] == 8 << 30
    assert host["cores"] == 1


def test_cgroup_1_limits(machine: Any) -> None:
    machine.file("/proc/meminfo", MEMINFO)
    machine.file("/proc/self/cgroup", "9:memory:/job\n4:cpu,cpuacct:/job\n")
    machine.file("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "9223372036854771712\n")
    assert machine.look("--only", "host")["host"]["memory_limit"] is None
    machine.file("/sys/fs/cgroup/memory/memory.limit_in_bytes", f"{2 << 30}\n")
    machine.file("/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "50000\n")
    machine.file("/sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n")
    host = machine.look("--only", "host")["host"]
    assert host["memory_limit"] == 2 << 30
    assert host["cores"] == 1


def test_disks_of_places_that_are_not_there_yet(machine: Any) -> None:
    wanted = machine.folder / "not" / "yet"
    disks = machine.look("--only", "host", "--path", str(wanted))["host"]["disks"]
    (disk,) = [disk for disk in disks if disk["path"] == str(wanted)]
    assert disk["free"] > 0
    assert disk["writable"] is True
    assert disk["why"] == "asked for"


def test_a_folder_that_cannot_be_written(machine: Any) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    folder = machine.folder / "closed"
    folder.mkdir(mode=0o500)
    disks = machine.look("--only", "host", "--path", str(folder))["host"]["disks"]
    (disk,) = [disk for disk in disks if disk["path"] == str(folder)]
    assert disk["writable"] is False


# --- settings


def test_settings_of_pip_and_uv_without_secrets(machine: Any) -> None:
    pip = machine.home / ".config/pip/pip.conf"
    uv = machine.home / ".config/uv/uv.toml"
    for path in (pip, uv):
        path.parent.mkdir(parents=True)
    pip.write_text("[global]\nindex-url = https://ich:geheim@mirror.example/simple\n")
    uv.write_text('index-url = "https://mirror.example/simple"\n')
    machine.env = {
        "PIP_INDEX_URL": "https://ich:geheim@mirror.example/simple",
        "UV_INDEX_COMPANY_PASSWORD": "geheim",
        "HF_TOKEN": "hf_geheimgeheim",
        "UNRELATED": "geheim",
        "CUDA_HOME": "/usr/local/cuda",
    }
    done = machine.run("--root", str(machine.root), "--only", "config,env")
    assert "geheim" not in done.stdout
    facts = json.loads(done.stdout)
    assert facts["config"]["pip"] == {"global.index-url": "https://***@mirror.example/simple"}
    assert facts["config"]["uv"] == {"index-url": "https://mirror.example/simple"}
    assert facts["env"]["CUDA_HOME"] == "/usr/local/cuda"
    assert str(pip) in facts["sources"]["config.pip"]


def test_a_clock_that_lags_is_told(machine: Any) -> None:
    path = machine.file("/etc/passwd", "")
    ahead = 4_000_000_000
    os.utime(path, (ahead, ahead))
    assert "was written" in machine.look("--only", "clock")["clock"]["skew"]
    os.utime(path, (1, 1))
    assert machine.look("--only", "clock")["clock"]["skew"] is None
