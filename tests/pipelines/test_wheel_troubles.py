"""Wheels that are stale, cut off, for another system or out of reach: a cure, or a stop whose command, pasted, helps."""

from __future__ import annotations

import re
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from small_index import put
from stand_in_machine import Machine, Ran, real_glibc
from test_troubles import environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
MakeMachine = Callable[..., Machine]
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


def commands(text: str) -> list[str]:
    """The commands of ours that a text has between backticks, as they stand there."""
    return re.findall(r"`([^`\n]*\bmambaops [^`\n]*)`", text)


def at_home(machine: Machine, *lines: str, profile: str = "", fails: bool = False) -> Ran:
    """Lines pasted in the home folder, with an environment active where a profile is named."""
    active = [f". {machine.python(profile).parent}/activate"] if profile else []
    done = machine.shell("\n".join(["cd ~", *active, *lines]))
    assert (done.returncode != 0) == fails, done.said[-4000:]
    return done


def test_a_carried_wheel_that_was_cut_off_comes_whole_by_the_printed_line(
    make_machine: MakeMachine,
) -> None:
    machine = make_machine("debian10-a800", "3.10")
    machine.offer("debian-a800")
    tags = TAGS.format("FALSE")
    machine.prebuilt("causal-conv1d", "1.5.0.post8", tags, ["80"])
    whole = machine.prebuilt("mamba-ssm", "2.2.4", tags, ["80"])
    environment(machine, "debian-a800", "torch==2.2.2")
    carried = machine.folder / "home" / "carried by hand" / whole.name
    carried.parent.mkdir()
    carried.write_bytes(whole.read_bytes()[:2000])
    words = f"mambaops install-wheel '{carried}'"
    refused = at_home(machine, words, profile="debian-a800", fails=True)
    (line,) = commands(refused.said.partition("hint:")[2])
    at_home(machine, line, words, profile="debian-a800")
    assert machine.installed("debian-a800")["mamba-ssm"].startswith("2.2.4")

    # the same with pip, as the notes had it
    carried = carried.rename(machine.folder / "home" / whole.name)
    carried.write_bytes(whole.read_bytes()[:2000])
    again = f"pip install --force-reinstall --no-deps {whole.name} > pip.log 2>&1"
    told = at_home(machine, f"{again} || mambaops diagnose pip.log || true", profile="debian-a800")
    lines = commands(told.said.partition("do:")[2])
    at_home(machine, *lines, profile="debian-a800")
    assert carried.read_bytes() == whole.read_bytes()
    done = machine.nox("debian-a800")
    assert done.returncode == 0, done.said[-4000:]
    assert [path.name.split("-")[0] for path in machine.wheels()] == ["selective_scan"]


def of_another_torch(archive: Path) -> None:
    """The sources so that their module asks for what only another torch has."""
    tree = archive.parent / "unpacked"
    with tarfile.open(archive) as packed:
        packed.extractall(tree)
    (source,) = tree.rglob("selective_scan.cpp")
    symbol = "_ZN2at4_ops5zeros4callEv"
    use = f"extern void {symbol}(void);\nvoid (*wanted)(void) = {symbol};\n"
    source.write_text(source.read_text() + use)
    (folder,) = tree.iterdir()
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(folder, folder.name)
    subprocess.run(["rm", "-rf", tree], check=True)


BY_HAND = (
    "export CUDA_HOME=/usr/local/cuda-13.0 MAMBA_FORCE_BUILD=TRUE",
    "pip install --force-reinstall --no-deps --no-build-isolation mamba-ssm==2.3.2.post1 > pip.log 2>&1",
)
IMPORT = "python -c 'import selective_scan_cuda'"


def test_pip_hands_out_a_stale_wheel_until_the_printed_line_is_pasted(
    make_machine: MakeMachine,
) -> None:
    machine = make_machine("hopper")
    machine.offer("hopper")
    machine.toolkit(machine.folder / "local" / "cuda-13.0", "13.0")
    environment(machine, "local", "torch==2.14.1", "setuptools", "wheel", "packaging", "ninja")
    (sources,) = (machine.index / "mamba-ssm").glob("*.tar.gz")
    whole = sources.read_bytes()
    of_another_torch(sources)
    at_home(machine, *BY_HAND, profile="local")
    sources.write_bytes(whole)
    told = at_home(
        machine,
        *BY_HAND,
        f"{IMPORT} >> pip.log 2>&1 || mambaops diagnose pip.log || true",
        profile="local",
    )
    assert "[pip-cache-stale-abi]" in told.said, told.said
    purge, build = commands(told.said.partition("do:")[2])[:2]
    assert "mamba_ssm" in at_home(machine, purge).said
    at_home(machine, *BY_HAND, IMPORT, profile="local")
    assert "Building wheel" in (machine.folder / "home" / "pip.log").read_text()
    at_home(machine, build)
    assert "+cu130torch2.14.sm90" in machine.installed("local")["mamba-ssm"]
    at_home(machine, IMPORT, profile="local")


# -- no network -----------------------------------------------------------------------------------------
def test_without_a_network_the_three_printed_lines_bring_it_from_elsewhere(
    make_machine: MakeMachine,
) -> None:
    machine, there = make_machine("no-gpu"), make_machine("hopper")
    machine.server = False
    machine.more["PIP_RETRIES"] = "1"  # with none pip does not say that nothing answers
    there.offer("local")
    stopped = machine.nox("local")
    assert stopped.returncode == 1
    assert "[index-unreachable]" in stopped.said and "nothing to do" not in stopped.said
    assert machine.mambaops("check-network").returncode == 1
    facts, bundle, install = commands(stopped.said.partition("hint:")[2])
    at_home(machine, facts)
    carry("facts.json", machine, there)
    at_home(there, bundle)
    carry("carried.tar", there, machine)
    at_home(machine, install)
    done = machine.nox("local")
    assert done.returncode == 0, done.said[-3000:]
    assert "2 passed, 0 failed" in done.said
    assert machine.installed("local")["torch"] == "2.13.0+cpu"


def carry(name: str, here: Machine, there: Machine) -> None:
    """A file from one machine's home to another's, by hand."""
    (there.folder / "home" / name).write_bytes((here.folder / "home" / name).read_bytes())
