"""Procedures of the notes that are no pipeline, run on the stand-in of the machine that they come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from small_index import sdist, torch_wheel
from stand_in_machine import Machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
MakeMachine = Callable[..., Machine]


@pytest.mark.parametrize(
    "name", ["wsl-5090-nvcc126", "debian10-a800", "ubuntu20-graph-mamba", "ubuntu22-cu118"]
)
def test_the_facts_are_those_of_the_machine(name: str, make_machine: MakeMachine) -> None:
    machine = make_machine(name)
    told = machine.mambaops("facts", "--json")
    found, wanted = json.loads(told.said), machine.facts
    host = found["host"]
    assert host["kernel"] == wanted.host.kernel and host["wsl"] == wanted.host.wsl
    for key in ("id", "version", "name"):
        assert host["distribution"][key] == getattr(wanted.host.distribution, key)
    assert (host["glibc"], host["root"]) == (wanted.host.glibc, wanted.host.root)
    assert found["driver"]["version"] == wanted.driver.version
    assert found["driver"]["cuda"] == wanted.driver.cuda
    gpus = [(one["name"], one["compute_capability"]) for one in found["gpus"]]
    assert gpus == [(one.name, one.compute_capability) for one in wanted.gpus]
    # those in environments come with these
    in_system = [one for one in wanted.toolkits if one.source != "conda"]
    assert [one["version"] for one in found["toolkits"]] == [one.version for one in in_system]
    named = {one["name"]: one["version"] for one in found["compilers"]}
    assert named == {one.name: one.version for one in wanted.compilers}
    assert set(wanted.tools) - {"make", "ninja", "cmake"} <= set(found["tools"])


def test_the_shells_lines_bring_nvcc(make_machine: MakeMachine) -> None:
    machine = make_machine("ubuntu22-cu118")
    before = machine.shell("nvcc -V")
    assert before.returncode != 0
    keep = "mambaops shell-env --home /usr/local/cuda-11.8 --write ~/.bashrc && . ~/.bashrc"
    after = machine.shell(f"{keep}\nnvcc -V\necho $CUDA_HOME\necho $LD_LIBRARY_PATH")
    assert after.returncode == 0, after.said
    assert "release 11.8" in after.said and "/usr/local/cuda-11.8/lib64" in after.said
    gone = machine.shell("mambaops shell-env --remove ~/.bashrc; cat ~/.bashrc 2>/dev/null | wc -c")
    assert gone.said.rstrip().endswith("0")


def by_hand(machine: Machine, package: str, version: str, cuda: str) -> Path:
    """`pip install PACKAGE --no-build-isolation -v` as the notes did it, with an nvcc; its log."""
    sdist(machine.index, package, version)
    profile = "ubuntu20-graph-mamba"
    home = f"export CUDA_HOME={cuda}"
    pip = f"{machine.python(profile)} -m pip install --no-deps --no-build-isolation -v"
    force = "MAMBA_FORCE_BUILD=TRUE CAUSAL_CONV1D_FORCE_BUILD=TRUE"
    log = machine.folder / "home" / "pip.log"
    line = f"{home}; {force} {pip} --no-binary {package} {package}=={version} > {log} 2>&1"
    assert machine.shell(line).returncode != 0
    return log


def test_the_notes_two_nvcc_failures_are_named_from_the_real_log(
    make_machine: MakeMachine,
) -> None:
    machine = make_machine("ubuntu20-graph-mamba", "3.9")
    machine.offer("ubuntu20-graph-mamba")
    torch_wheel(machine.folder / "web/pytorch/cu128", "2.8.0+cu128", "12.8")
    made = machine.mambaops("create-venv", "--profile", "ubuntu20-graph-mamba")
    assert made.returncode == 0, made.said
    python = machine.python("ubuntu20-graph-mamba")
    page = "http://127.0.0.1:8000/pytorch/cu128"
    words = ["torch==2.8.0+cu128", "setuptools<70", "wheel<0.46", "packaging", "ninja"]
    put = machine.run(python, "-m", "pip", "install", "-q", *words, "--extra-index-url", page)
    assert put.returncode == 0, put.said
    machine.toolkit(machine.folder / "local" / "cuda-11.7", "11.7")
    machine.toolkit(machine.folder / "local" / "cuda-10.1", "10.1")
    for cuda, rule, text in (
        ("11.7", "cuda-major-mismatch", "mismatches the version that was used to compile"),
        ("10.1", "cuda-too-old-11-6", "only supported on CUDA 11.6 and above"),
    ):
        log = by_hand(machine, "mamba-ssm", "2.3.0", f"/usr/local/cuda-{cuda}")
        assert text in log.read_text(encoding="utf-8"), log.read_text(encoding="utf-8")[-3000:]
        told = machine.mambaops("diagnose", "--log", log, "--json")
        rules = [one["rule"] for one in json.loads(told.said[told.said.index("{") :])["findings"]]
        assert rules and rules[0] == rule, (cuda, rules)


def test_a_command_goes_into_wsl_and_its_words_arrive(make_machine: MakeMachine) -> None:
    machine = make_machine("wsl-5090-bare")
    machine.write("answers/wsl.exe", "Ubuntu-22.04\n")
    done = machine.mambaops("wsl-run", "--folder", r"D:\mamba", "--", "bash", "a b.sh", "--x")
    assert done.returncode == 0, done.said
    assert machine.asked("wsl.exe")[-1].endswith(
        r"wsl.exe --cd D:\mamba -- bash -lc bash 'a b.sh' --x"
    )


def test_the_profiles_variables_are_set_by_a_pasted_line(make_machine: MakeMachine) -> None:
    machine = make_machine("wsl-5090-bare")
    line = 'eval "$(mambaops env --profile wsl-5090)"\n'
    done = machine.shell(line + "python3 -c \"import os; print(os.environ['MAMBA_FORCE_CUDA'])\"")
    assert (done.returncode, done.said) == (0, "1\n")
