"""Procedures of the notes that are no pipeline, run on the stand-in of the machine that they come from."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from small_index import sdist, torch_wheel
from stand_in_machine import Machine
from test_troubles import hints

from mambaops.compile.wheel import extensions

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


def test_a_clone_is_patched_and_built_by_hand(make_machine: MakeMachine) -> None:
    """torch's table, `use_ninja=False` and the architectures, as on Ubuntu 22.04: by command instead of an editor."""
    machine = make_machine("ubuntu22-cu118", "3.10")
    machine.offer("ubuntu22-cu118")
    for step in ("install-torch", "prepare-build"):
        done = machine.mambaops(step, "--profile", "ubuntu22-cu118")
        assert done.returncode == 0, done.said[-3000:]
    python = machine.python("ubuntu22-cu118")
    script = f"""
cd ~ && git clone -q --branch v2.2.2 {machine.folder}/github/state-spaces/mamba clone
table="patch-cpp-extension --cuda 11.8 --python {python}"
mambaops $table --check && exit 9
mambaops $table
mambaops $table --check
. {python.parent}/activate
export CUDA_HOME=/usr/local/cuda-11.8 MAMBA_FORCE_BUILD=TRUE
build() {{ pip wheel -v --no-deps --no-build-isolation ./clone -w "$1" > "$1.log" 2>&1; }}
mambaops patch-setup --source clone --arch '8.0;9.0+PTX' --no-ninja && build file-by-file
rm -rf clone/build && mambaops patch-setup --source clone --arch 8.6 && build by-ninja
mambaops patch-setup --source clone --revert && git -C clone diff --exit-code setup.py
"""
    done = machine.shell(script)
    assert done.returncode == 0, done.said[-3000:]
    home = machine.folder / "home"
    for folder, code in (
        ("file-by-file", (("8.0", "9.0"), ("9.0",))),
        ("by-ninja", (("8.6",), ())),
    ):
        (wheel,) = (home / folder).glob("*.whl")
        assert {(one.cubins, one.ptx) for one in extensions(wheel).values()} == {code}
    logs = [(home / f"{name}.log").read_text() for name in ("file-by-file", "by-ninja")]
    assert ["[1/" in log for log in logs] == [False, True]


def found_by_the_doctor(machine: Machine, profile: str) -> dict[str, str]:
    """Id -> remedy of what is not as it should be."""
    told = machine.mambaops("doctor", "--profile", profile, "--json")
    checks = json.loads(told.said[told.said.index("{") :])["checks"]
    return {one["id"]: one["remedy"] for one in checks if one["state"] in ("failed", "warning")}


def test_the_two_nvcc_failures_are_seen_before_anything_is_built(make_machine: MakeMachine) -> None:
    """An nvcc that is too old, and torch of another CUDA than the nvcc: doctor and plan say it, the remedy helps."""
    machine = make_machine("digress", "3.9")
    machine.offer("digress")
    remedy = found_by_the_doctor(machine, "digress")["toolkit-of-other-cuda"]
    plan = machine.mambaops("plan", "--profile", "digress")
    assert "is 10.1" in plan.said and "needed  install-toolkit" in plan.said
    pasted = machine.shell(remedy.split("`")[1])
    assert pasted.returncode == 0, pasted.said[-3000:]
    assert "toolkit-of-other-cuda" not in found_by_the_doctor(machine, "digress")
    torch_wheel(machine.folder / "web/pytorch/cu128", "2.8.0+cu128", "12.8")
    page = "http://127.0.0.1:8000/pytorch/cu128"
    words = ["-q", "--force-reinstall", "torch==2.8.0+cu128", "--extra-index-url", page]
    put = machine.run(machine.python("digress"), "-m", "pip", "install", *words)
    assert put.returncode == 0, put.said
    remedy = found_by_the_doctor(machine, "digress")["torch-of-other-version"]
    blocked = machine.mambaops("plan", "--profile", "digress")
    assert "BLOCKED install-torch" in blocked.said and "2.8.0+cu128 (CUDA 12.8)" in blocked.said
    pasted = machine.shell(remedy.split("`")[1])
    assert pasted.returncode == 0, pasted.said[-3000:]
    assert machine.installed("digress")["torch"].startswith("2.0.1")
    assert "torch-of-other-version" not in found_by_the_doctor(machine, "digress")


def test_a_command_goes_into_wsl_and_its_words_arrive(make_machine: MakeMachine) -> None:
    machine = make_machine("wsl-5090-bare")
    machine.write("answers/wsl.exe", "Ubuntu-22.04\n")
    done = machine.mambaops("wsl-run", "--folder", r"D:\mamba", "--", "bash", "a b.sh", "--x")
    assert done.returncode == 0, done.said
    assert machine.asked("wsl.exe")[-1].endswith(
        r"wsl.exe --cd D:\mamba -- bash -lc bash 'a b.sh' --x"
    )


def test_windows_paths_are_mapped_to_the_drive(make_machine: MakeMachine) -> None:
    machine = make_machine("wsl-5090-bare")
    machine.instead["/mnt"] = machine.folder / "drives"
    machine.write("drives/d/mamba/图 1.png", "")
    table = machine.write("home/t.csv", "image_path,answer\nD:\\mamba\\图 1.png,a\nD:\\no.png,b\n")
    here = machine.mambaops("map-paths", r"D:\mamba\图 1.png")
    assert (here.returncode, here.said.split()[-2:]) == (0, ["/mnt/d/mamba/图", "1.png"])
    back = machine.mambaops("map-paths", "/mnt/d/mamba", "--to-windows")
    assert (back.returncode, back.said.split()[-1]) == (0, r"D:\mamba")
    rows = machine.mambaops("map-paths", table)
    assert rows.returncode == 1, "one of the two does not exist"
    assert "/mnt/d/no.png" in rows.said and "missing" in rows.said


HEADER = "#define CUDNN_MAJOR 8\n#define CUDNN_MINOR 9\n#define CUDNN_PATCHLEVEL 7\n"


def test_cudnns_archive_is_copied_into_the_toolkit(make_machine: MakeMachine) -> None:
    machine = make_machine("ubuntu22-cu118")
    machine.offer("ubuntu22-cu118")
    home = machine.folder / "local" / "cuda-11.8"
    tree = machine.folder / "trees" / "cudnn-linux-x86_64-8.9.7.29_cuda11-archive"
    machine.write(f"trees/{tree.name}/include/cudnn_version.h", HEADER).chmod(0o400)
    machine.write(f"trees/{tree.name}/lib/libcudnn.so.8", "a library").chmod(0o400)
    archive = machine.folder / "home" / f"{tree.name}.tar.xz"
    with tarfile.open(archive, "w:xz") as packed:
        packed.add(tree, tree.name)
    at = ["--home", "/usr/local/cuda-11.8"]
    assert "no cuDNN" in machine.mambaops("cudnn-check", *at).said
    copied = machine.mambaops("cudnn-install", "--archive", archive, *at)
    assert copied.returncode == 0, copied.said
    assert "8.9.7" in machine.mambaops("cudnn-check", *at).said
    for file in (home / "include/cudnn_version.h", home / "lib64/libcudnn.so.8"):
        assert file.stat().st_mode & 0o444 == 0o444, file
    refused = machine.mambaops("cudnn-install", "--deb", "11.8")
    assert refused.returncode == 4 and machine.asked("apt-get") == []
    pasted = machine.shell("\n".join(hints(refused)))
    assert pasted.returncode == 0, pasted.said
    assert any(line.endswith("cudnn9-cuda-11") for line in machine.asked("apt-get"))


def test_a_missing_openblas_is_named_and_the_printed_line_helps(make_machine: MakeMachine) -> None:
    """A module whose real loader does not find the real library, until the line is pasted."""
    machine = make_machine("ubuntu20-graph-mamba", "3.9")
    machine.offer("ubuntu20-graph-mamba")
    made = machine.mambaops("create-venv", "--profile", "ubuntu20-graph-mamba")
    assert made.returncode == 0, made.said
    python = machine.python("ubuntu20-graph-mamba")
    environment = python.parent.parent
    library = needs_openblas(machine.folder / "trees", environment)
    words = ["openblas-check", "--python", python, "--module", "needs_openblas"]
    missing = machine.mambaops(*words)
    assert missing.returncode == 1 and "libopenblas.so.0" in missing.said
    (line,) = re.findall(r"`(conda install .*libopenblas)`", missing.said)
    assert f"-p {environment} " in line
    assert machine.shell(line).returncode == 0
    assert machine.asked("conda")[-1].endswith("-c conda-forge libopenblas")
    shutil.copy(library, environment / "lib")  # the stand-in for conda brings no files
    found = machine.mambaops(*words)
    (line,) = re.findall(r"export LD_LIBRARY_PATH=.*", found.said)
    again = machine.shell(f"{line}\nmambaops {' '.join(map(str, words))}")
    assert again.returncode == 0, again.said


def needs_openblas(work: Path, environment: Path) -> Path:
    """A module in the environment whose library needs libopenblas.so.0; that one, which lies elsewhere."""
    work.mkdir(exist_ok=True)
    site = next(environment.glob("lib/python3*/site-packages"))
    (site / "needs_openblas.py").write_text(
        "import ctypes, os\nctypes.CDLL(os.path.join(os.path.dirname(__file__), 'needs.so'))\n"
    )
    shared = ["gcc", "-shared", "-x", "c", "/dev/null", "-x", "none", "-o"]
    library = work / "libopenblas.so.0"
    subprocess.run([*shared, library, f"-Wl,-soname,{library.name}"], check=True)
    subprocess.run([*shared, site / "needs.so", "-Wl,--no-as-needed", library], check=True)
    return library


REQUIREMENTS = "torch==1.13.1\ntorchvision==0.14.1\nnumpy==1.24.4\nyacs\ntermcolor  # colours\n"


def test_a_projects_requirements_do_not_replace_torch(make_machine: MakeMachine) -> None:
    machine = make_machine("debian10-a800", "3.10")
    machine.offer("debian-a800")
    for step in ("create-venv", "install-torch"):
        done = machine.mambaops(step, "--profile", "debian-a800")
        assert done.returncode == 0, done.said[-3000:]
    before = machine.installed("debian-a800")
    file = machine.write("home/requirements.txt", REQUIREMENTS)
    words = ["install-requirements", file, "--python", machine.python("debian-a800")]
    dry = machine.mambaops(*words, "--dry-run")
    assert dry.returncode == 0 and "left out: `torch==1.13.1`" in dry.said
    assert machine.installed("debian-a800") == before
    done = machine.mambaops(*words)
    assert done.returncode == 0, done.said[-3000:]
    after = machine.installed("debian-a800")
    assert {name: after[name] for name in before} == before
    assert {"yacs", "termcolor"} <= set(after)


def test_one_script_installs_everything_inside_wsl(make_machine: MakeMachine) -> None:
    machine = make_machine("wsl-5090-bare")
    machine.offer("wsl-5090")
    machine.micromamba()
    written = machine.mambaops("write-launcher", "--kind", "wsl", "--output", "run.sh")
    assert written.returncode == 0, written.said
    machine.with_mambaops()
    done = machine.run("bash", machine.folder / "home" / "run.sh", "--install-only")
    assert done.returncode == 0, done.said[-4000:]
    assert "+cu128torch2.11.sm120.x" in machine.installed("wsl-5090")["mamba-ssm"]
    again = machine.run("bash", machine.folder / "home" / "run.sh", "--install-only")
    assert again.returncode == 0
    assert re.findall(r"^(\S+): done in ", again.said, re.MULTILINE) == []


def test_the_profiles_variables_are_set_by_a_pasted_line(make_machine: MakeMachine) -> None:
    machine = make_machine("wsl-5090-bare")
    line = 'eval "$(mambaops env --profile wsl-5090)"\n'
    done = machine.shell(line + "python3 -c \"import os; print(os.environ['MAMBA_FORCE_CUDA'])\"")
    assert (done.returncode, done.said) == (0, "1\n")
