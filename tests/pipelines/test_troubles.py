"""The notes' troubles, switched on one after the other: a cure, or a clear stop whose command, pasted, helps."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import msgspec
import pytest
from recorded import varied
from small_index import torch_wheel
from stand_in_machine import Machine, Ran

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
MakeMachine = Callable[..., Machine]


def hints(ran: Ran) -> list[str]:
    """Lines behind `hint:` that are commands to paste."""
    told = ran.said.partition("hint:")[2]
    return [line.strip() for line in told.splitlines() if line.startswith("  ")]


def environment(machine: Machine, profile: str, *requirements: str) -> None:
    """The profile's environment with something in it, as its user has made it by hand."""
    made = machine.mambaops("create-venv", "--profile", profile)
    assert made.returncode == 0, made.said[-3000:]
    index = "http://127.0.0.1:8000/pytorch"
    more = [word for tag in ("cpu", "cu128") for word in ("--extra-index-url", f"{index}/{tag}")]
    pip = [machine.python(profile), "-m", "pip", "install", "-q", *requirements, *more]
    done = machine.run(*pip)
    assert done.returncode == 0, done.said[-3000:]


# -- torch ----------------------------------------------------------------------------------------------
def test_a_torch_for_the_cpu_or_another_cuda_is_replaced(make_machine: MakeMachine) -> None:
    machine = make_machine("ubuntu20-graph-mamba", "3.9")
    machine.offer("ubuntu20-graph-mamba")
    torch_wheel(machine.folder / "web/pytorch/cu128", "2.8.0+cu128", "12.8")
    torch_wheel(machine.folder / "web/pytorch/cpu", "2.0.0+cpu", None)
    environment(machine, "ubuntu20-graph-mamba", "torch==2.0.0+cpu")
    for found in ("torch 2.0.0+cpu (CUDA none)", "torch 2.8.0+cu128 (CUDA 12.8)"):
        done = machine.mambaops("install-torch", "--profile", "ubuntu20-graph-mamba")
        assert done.returncode == 0, done.said[-3000:]
        assert f"{found} is there, 2.0.0+cu117 wanted" in done.said
        assert machine.installed("ubuntu20-graph-mamba")["torch"] == "2.0.0"
        environment(machine, "ubuntu20-graph-mamba", "torch==2.8.0+cu128")


def test_a_users_own_torch_for_the_cpu_stops_it_and_the_printed_line_helps(
    make_machine: MakeMachine,
) -> None:
    machine = make_machine("hopper")
    machine.offer("hopper")
    torch_wheel(machine.folder / "web/pytorch/cpu", "2.9.0+cpu", None)
    environment(machine, "hopper", "torch==2.9.0+cpu")
    machine.forget()
    stopped = machine.nox("hopper")
    assert stopped.returncode == 4
    assert "torch 2.9.0+cpu (CUDA none) is there, 2.14.1+cu130 wanted" in stopped.said
    assert machine.asked("GET") == [] and machine.installed("hopper")["torch"] == "2.9.0+cpu"
    (line,) = re.findall(r"`([^`]* install-torch [^`]*)` replaces it", stopped.said)
    pasted = machine.shell(line)
    assert pasted.returncode == 0, pasted.said[-3000:]
    done = machine.nox("hopper")
    assert done.returncode == 0, done.said[-4000:]
    assert machine.installed("hopper")["torch"] in ("2.14.1", "2.14.1+cu130")


def test_where_the_nightly_is_gone_the_stable_release_is_taken_and_said(
    make_machine: MakeMachine,
) -> None:
    machine = make_machine("wsl-5090-bare")
    machine.offer("wsl-5090")
    done = machine.mambaops("install-torch", "--profile", "wsl-5090")
    assert done.returncode == 0, done.said[-3000:]
    assert "nightly, from http://127.0.0.1:8000/pytorch/nightly/cu128\n  not there: " in done.said
    assert "torch 2.11.0+cu128: from http://127.0.0.1:8000/pytorch/cu128" in done.said
    assert machine.installed("wsl-5090")["torch"] == "2.11.0+cu128"


# -- nvcc -----------------------------------------------------------------------------------------------
def test_without_root_nvcc_comes_by_conda_and_apts_lines_can_be_pasted(
    make_machine: MakeMachine,
) -> None:
    machine = make_machine("wsl-5090-bare")
    machine.offer("wsl-5090")
    machine.micromamba()
    done = machine.mambaops("install-toolkit", "--profile", "wsl-5090")
    assert done.returncode == 0, done.said[-3000:]
    assert "no root, no conda here" in done.said
    assert machine.asked("sudo", "apt-get", "dpkg") == []
    assert any("cuda-12.8.0" in line for line in machine.asked("micromamba"))
    by_apt = ["get-nvcc", "--cuda", "12.8", "--route", "apt-network"]
    refused = machine.mambaops(*by_apt)
    assert refused.returncode == 4
    pasted = machine.shell("\n".join(hints(refused)))
    assert pasted.returncode == 0, pasted.said
    assert (machine.folder / "local/cuda-12.8/bin/nvcc").exists()
    again = machine.mambaops(*by_apt, "--sudo")
    assert again.returncode == 0
    assert "nvcc 12.8 is already in /usr/local/cuda-12.8: nothing to do" in again.said


def test_a_runfile_never_brings_a_driver(make_machine: MakeMachine) -> None:
    machine = make_machine("debian10-a800", toolkits=[])
    machine.offer("debian-a800")
    route = ["get-nvcc", "--cuda", "12.1", "--route"]
    done = machine.mambaops(*route, "runfile-folder", "--folder", machine.folder / "home/cuda")
    assert done.returncode == 0, done.said[-3000:]
    (asked,) = machine.asked("runfile")
    assert "--silent --toolkit " in asked and "--driver" not in asked
    assert (machine.folder / "home/cuda/bin/nvcc").exists()


def test_a_machine_without_conda_is_told_how_to_get_one(make_machine: MakeMachine) -> None:
    machine = make_machine("digress", "3.9")
    machine.offer("digress")
    machine.micromamba()
    machine.without("conda")
    stopped = machine.nox("digress")
    assert stopped.returncode == 4
    assert "neither conda, mamba nor micromamba" in stopped.said
    refused = machine.mambaops("create-venv", "--profile", "digress")
    assert refused.returncode == 4
    assert machine.asked("GET") == [], "something was fetched before it stopped"
    again = "mambaops create-venv --profile digress"
    pasted = machine.shell("\n".join([*hints(refused), again]))
    assert pasted.returncode == 0, pasted.said
    assert machine.python("digress").exists()


# -- the system -----------------------------------------------------------------------------------------
def test_a_missing_compiler_is_installed_by_the_line_that_is_printed(
    make_machine: MakeMachine,
) -> None:
    machine = make_machine("no-gxx")
    machine.without("g++", "gcc")
    missing = machine.mambaops("apt-prerequisites", "--check")
    assert missing.returncode == 1
    lines = [line.strip() for line in missing.said.splitlines() if "apt-get" in line]
    pasted = machine.shell("\n".join(line for line in lines if line.startswith(("sudo", "apt-"))))
    assert pasted.returncode == 0, pasted.said
    assert any("g++" in line for line in machine.asked("apt-get"))
    facts = json.loads(machine.mambaops("facts", "--json").said)
    assert "g++" in [one["name"] for one in facts["compilers"] if one["works"]]


def test_a_linux_driver_inside_wsl_is_found_and_the_remedy_helps(
    make_machine: MakeMachine,
) -> None:
    machine = make_machine("wsl-linux-driver")
    machine.offer("wsl-5090")
    mended = varied("wsl-5090-bare", {})
    machine.write("facts-mended.json", msgspec.json.encode(mended).decode())
    machine.write("shadow/libcuda.so.1", "a Linux driver's library")
    machine.instead["/usr/lib/x86_64-linux-gnu"] = machine.folder / "shadow"
    stopped = machine.nox("wsl-5090")
    assert stopped.returncode == 4
    assert "no GPU is visible (driver: broken)" in stopped.said
    assert not machine.python("wsl-5090").exists()
    seen = json.loads(machine.mambaops("doctor", "--profile", "wsl-5090", "--json").said)
    (found,) = [one for one in seen["checks"] if one["id"] == "linux-driver-in-wsl"]
    pasted = machine.shell(found["remedy"].split("`")[1])
    assert pasted.returncode == 0, pasted.said
    plan = machine.mambaops("plan", "--profile", "wsl-5090")
    assert "done    check-machine" in plan.said, plan.said[-2000:]


def test_a_hung_process_is_named_and_ended_alone(make_machine: MakeMachine) -> None:
    machine = make_machine("hopper")
    deaf = "import signal,time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
    script = f"""
python3 -c '{deaf}' & hung=$!
sleep 600 & other=$!
sleep 1
echo "[{{\\"pid\\": $hung, \\"name\\": \\"python3\\", \\"mib\\": 31000}}]" > {machine.folder}/holders.json
line=$(mambaops release-gpu 2>&1 >/dev/null | grep -o 'release-gpu [0-9]*')
[ "$line" = "release-gpu $hung" ]
mambaops release-gpu --pid $other --yes && exit 9 || echo "refused: $?"
mambaops $line --yes --grace 1
kill -0 $other && echo "the other one lives"
kill -0 $hung 2>/dev/null && exit 8
mambaops release-gpu
"""
    done = machine.shell(script)
    assert done.returncode == 0, done.said
    assert "python3" in done.said and "refused: " in done.said
    assert "the other one lives" in done.said


def test_windows_line_ends_are_taken_out_of_a_script(make_machine: MakeMachine) -> None:
    machine = make_machine("no-gpu")
    script = machine.write("home/scripts/wsl_build.sh", "")
    script.write_bytes(b'#!/bin/bash\r\nif true; then\r\n  echo "it runs"\r\nfi\r\n')
    before = machine.run("bash", script)
    assert before.returncode != 0 and "it runs" not in before.said
    script.write_bytes(b'#!/bin/bash\r\ncd "$HOME"\r\necho "it runs"\r\n')
    told = machine.shell(
        "cd ~/scripts; bash wsl_build.sh > ~/b.log 2>&1; mambaops diagnose ~/b.log || true"
    )
    assert "[crlf-scripts]" in told.said, told.said
    command = next(line for line in told.said.splitlines() if line.startswith("do: ")).split("`")[1]
    stripped = machine.shell(f"cd ~/scripts; {command}")
    assert stripped.returncode == 0 and "wsl_build.sh" in stripped.said, stripped.said
    after = machine.run("bash", script)
    assert (after.returncode, after.said) == (0, "it runs\n")
