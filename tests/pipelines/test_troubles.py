"""The notes' troubles, switched on one after the other: a cure, or a clear stop whose command, pasted, helps."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from recorded import varied
from small_index import put, torch_wheel
from stand_in_machine import Machine, Ran, real_glibc

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
    pasted = machine.shell(found["remedy"])
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


# -- wheels and caches ----------------------------------------------------------------------------------
TAGS = "cu12torch2.2cxx11abi{}-cp310-cp310"


def test_prebuilt_wheels_of_the_right_abi_are_taken_also_when_a_download_breaks_off(
    make_machine: MakeMachine,
) -> None:
    machine = make_machine("debian10-a800", "3.10")
    machine.offer("debian-a800")
    for package, version in (("causal-conv1d", "1.5.0.post8"), ("mamba-ssm", "2.2.4")):
        for abi in ("TRUE", "FALSE"):
            machine.prebuilt(package, version, TAGS.format(abi), ["80", "90"])
    machine.write("cut", r"^/releases/mamba-ssm/.*whl")
    done = machine.nox("debian-a800")
    assert done.returncode == 0, done.said[-5000:]
    words = ["--package", "mamba-ssm", "--version", "2.2.4", "--all"]
    told = machine.mambaops("select-wheel", *words, "--python", machine.python("debian-a800"))
    assert told.returncode == 0, told.said
    chosen, _, others = told.said.partition("\n")
    assert chosen.endswith(f"mamba_ssm-2.2.4+{TAGS.format('FALSE')}-linux_x86_64.whl"), chosen
    assert (
        f"- mamba_ssm-2.2.4+{TAGS.format('TRUE')}-linux_x86_64.whl [upstream]: uses the new C++11 ABI"
        in others
    )
    fetched = [line for line in machine.asked("GET") if "/releases/" in line]
    assert len([one for one in fetched if "mamba_ssm" in one]) >= 3  # there? half, the other half
    assert not [one for one in fetched if "abiTRUE" in one]
    there = machine.installed("debian-a800")
    assert there["mamba-ssm"] == "2.2.4+cu12torch2.2cxx11abifalse"
    assert [path.name.split("-")[0] for path in machine.wheels()] == ["selective_scan"]


def test_a_wheel_of_a_newer_glibc_is_refused_and_the_repair_that_is_named_helps(
    make_machine: MakeMachine, tmp_path: Path
) -> None:
    if tuple(map(int, real_glibc().split("."))) < (2, 32):
        pytest.skip("this system's glibc is older than what the wheel is to need")
    machine = make_machine("ubuntu20-graph-mamba", "3.9")
    machine.offer("ubuntu20-graph-mamba")
    environment(machine, "ubuntu20-graph-mamba", "torch==2.0.0")
    wheel = newer_wheel(tmp_path)
    python = machine.python("ubuntu20-graph-mamba")
    refused = machine.mambaops("install-wheel", wheel, "--python", python)
    assert refused.returncode != 0
    assert "GLIBC_2.32" in refused.said and "repair-wheel" in refused.said
    words = [line for line in refused.said.splitlines() if "repair-wheel" in line][-1]
    command = words[words.index("mambaops repair-wheel") :].split("`")[0].strip()
    pasted = machine.shell(command)
    assert pasted.returncode == 0, (command, pasted.said)
    (repaired,) = [path for path in wheel.parent.glob("*.whl") if path != wheel] or [wheel]
    installed = machine.mambaops("install-wheel", repaired, "--python", python)
    assert installed.returncode == 0, installed.said


def newer_wheel(folder: Path) -> Path:
    """mamba-ssm as a compiler of a newer system builds it: one symbol of glibc 2.32."""
    source, out = folder / "a.c", folder / "a.so"
    source.write_text(
        "extern char __libc_single_threaded;\n"
        "int PyInit_selective_scan_cuda(void) { return __libc_single_threaded; }\n"
    )
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", out, source], check=True)
    files = {
        "mamba_ssm/__init__.py": b"",
        "selective_scan_cuda.cpython-39-x86_64-linux-gnu.so": out.read_bytes(),
    }
    return put(folder / "made", "mamba-ssm", "1.0.1", files, tag="cp39-cp39-linux_x86_64")


def test_a_stale_wheel_in_pips_cache_is_taken_out(make_machine: MakeMachine) -> None:
    machine = make_machine("no-gpu")
    machine.offer("local")
    environment(machine, "local", "torch==2.13.0+cpu", "setuptools>=77", "wheel", "packaging")
    machine.more |= {"MAMBA_SKIP_CUDA_BUILD": "TRUE", "MAMBA_FORCE_BUILD": "TRUE"}
    pip = [machine.python("local"), "-m", "pip", "install", "--no-deps", "--no-build-isolation"]
    pip += ["--force-reinstall", "--no-binary", "mamba-ssm", "mamba-ssm==2.3.2.post1"]
    built = machine.run(*pip)
    assert built.returncode == 0 and "Building wheel" in built.said, built.said[-3000:]
    stale = machine.run(*pip)
    assert "Using cached mamba_ssm" in stale.said or "Building wheel" not in stale.said
    purged = machine.mambaops("purge-cache")
    assert purged.returncode == 0 and "mamba_ssm" in purged.said
    anew = machine.run(*pip)
    assert "Building wheel" in anew.said


# -- no network -----------------------------------------------------------------------------------------
def test_without_a_network_it_stops_clearly_and_a_bundle_from_elsewhere_helps(
    make_machine: MakeMachine,
) -> None:
    machine = make_machine("no-gpu")
    machine.offer("local")
    machine.server = False
    stopped = machine.mambaops("build-mamba", "--profile", "local")
    assert stopped.returncode == 1
    assert "no index that has it can be reached" in stopped.said or "could not be" in stopped.said
    assert "mambaops bundle" in stopped.said
    assert "nothing to do" not in stopped.said
    named = machine.mambaops("check-network")
    assert named.returncode == 1
    machine.server = True
    bundle = machine.folder / "home" / "local.tar"
    made = machine.mambaops("bundle", "--profile", "local", "--output", bundle)
    assert made.returncode == 0, made.said[-4000:]
    machine.server = False
    into = machine.folder / "home" / "env"
    words = ["install-bundle", "--file", bundle, "--into", into]
    carried = machine.mambaops(*words)
    assert carried.returncode == 0, carried.said[-4000:]
    assert (into / "bin" / "python").exists()
