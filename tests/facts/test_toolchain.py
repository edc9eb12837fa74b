"""The probe run for real: every nvcc, compilers, tools, environments."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import texts

from mambaops.core import process

Maker = Callable[..., Path]


# --- toolkits


def kits(machine: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = machine.look("--only", "toolkits")["toolkits"]
    return [kit for kit in found if str(machine.folder) in kit["home"]]


def test_every_nvcc_once(machine: Any, toolkit: Maker) -> None:
    local = machine.root / "usr/local"
    old = toolkit(local / "cuda-11.7", texts.NVCC["11.7.99"], config=texts.HOST_CONFIG_10)
    new = toolkit(local / "cuda-12.8", texts.NVCC["12.8.93"], config=texts.HOST_CONFIG_12)
    (local / "cuda").symlink_to(new)
    machine.path = f"{local}/cuda/bin:{machine.path}"
    machine.env = {"CUDA_HOME": str(old)}
    found = kits(machine)
    assert [(kit["version"], kit["source"]) for kit in found] == [
        ("11.7", "CUDA_HOME"),
        ("12.8", "PATH"),
    ]
    assert [kit["home"] for kit in found] == [str(old), str(new)]
    assert [kit["gcc_max"] for kit in found] == [8, 12]
    assert found[1]["clang_max"] == 15
    assert found[1]["release"] == "12.8.93"
    assert all(kit["whole"] for kit in found)
    assert found[0]["missing_for_torch"] == ["cublas_v2.h", "cusparse.h", "cusolverDn.h"]


@pytest.mark.parametrize(
    ("without", "missing"),
    [
        ("nvvm/bin/cicc", "cicc"),
        ("bin/ptxas", "ptxas"),
        ("include/cuda_runtime.h", "cuda_runtime.h"),
        ("include/crt/host_config.h", "crt/host_config.h"),
        ("lib64/libcudart.so", "libcudart.so"),
        ("nvvm/libdevice/libdevice.10.bc", "libdevice"),
    ],
)
def test_what_a_toolkit_lacks(machine: Any, toolkit: Maker, without: str, missing: str) -> None:
    home = toolkit(machine.folder / "cuda", texts.NVCC["12.1.66"], without=(without,))
    machine.path = f"{home}/bin:{machine.path}"
    (kit,) = kits(machine)
    assert kit["missing"] == [missing]
    assert kit["whole"] is False


def test_the_wheels_numbered_library_cannot_be_linked(machine: Any, toolkit: Maker) -> None:
    home = toolkit(machine.folder / "cu13", texts.NVCC["13.0.88"], without=("lib64/libcudart.so",))
    (home / "lib").mkdir()
    (home / "lib/libcudart.so.13").write_text("")
    machine.path = f"{home}/bin:{machine.path}"
    assert kits(machine)[0]["missing"] == ["libcudart.so"]


def test_an_nvcc_that_does_not_run(machine: Any, toolkit: Maker) -> None:
    home = toolkit(machine.folder / "cuda", "")
    (home / "bin/nvcc").write_text("#!/bin/sh\nexit 127\n")
    (home / "version.json").write_text('{"cuda" : {"name" : "CUDA SDK", "version" : "12.1.0"}}')
    machine.path = f"{home}/bin:{machine.path}"
    (kit,) = kits(machine)
    assert kit["version"] == "12.1"
    assert kit["missing"] == ["a working nvcc (exited 127)"]


def test_a_script_that_only_starts_another_nvcc_is_read_and_counts_once(
    machine: Any, toolkit: Maker
) -> None:
    home = toolkit(machine.folder / "cuda", texts.NVCC["13.0.88"])
    nvcc = home / "bin" / "nvcc"
    asked = machine.folder / "asked"
    nvcc.write_text(f"#!/bin/sh\necho $* >>{asked}\n" + nvcc.read_text().split("\n", 1)[1])
    machine.program("nvcc", f'# ours\nexec {nvcc} "$@"\n')
    found = machine.look("--only", "toolkits")["toolkits"]
    assert [(kit["home"], kit["version"]) for kit in found] == [(str(home), "13.0")]
    assert asked.read_text() == "--version\n"


def test_a_wrapper_script_leads_to_its_toolkit(machine: Any, toolkit: Maker) -> None:
    home = toolkit(machine.folder / "cuda", texts.NVCC["13.0.88"])
    dryrun = f'case "$*" in *dryrun*) echo "#$ TOP={home}/bin/.." >&2 ;; *) exec {home}/bin/nvcc ;; esac\n'
    machine.program("nvcc", dryrun)
    (kit,) = kits(machine)
    assert kit["home"] == str(home)
    assert kit["nvcc"] == str(machine.bin / "nvcc")
    assert kit["version"] == "13.0"


def test_conda_keeps_its_toolkit_under_targets(machine: Any, toolkit: Maker) -> None:
    prefix = toolkit(
        machine.folder / "envs/digress",
        texts.NVCC["11.8.89"],
        without=("include/cuda_runtime.h", "include/crt/host_config.h", "lib64/libcudart.so"),
    )
    (prefix / "conda-meta").mkdir()
    target = prefix / "targets/x86_64-linux"
    for name in ("include/cuda_runtime.h", "include/crt/host_config.h", "lib/libcudart.so"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(texts.HOST_CONFIG_10)
    machine.env = {"CONDA_PREFIX": str(prefix)}
    (kit,) = kits(machine)
    assert (kit["source"], kit["whole"], kit["gcc_max"]) == ("conda", True, 8)


def test_debians_own_package_spreads_over_usr(machine: Any) -> None:
    """nvidia-cuda-toolkit: a wrapper in /usr/bin, the parts in /usr/lib, headers in /usr/include."""
    import platform

    parts = "/usr/lib/nvidia-cuda-toolkit"
    for name in ("bin/cicc", "bin/ptxas", "bin/fatbinary", "libdevice/libdevice.10.bc"):
        machine.file(f"{parts}/{name}", "")
    machine.file("/usr/include/cuda_runtime.h", "")
    machine.file("/usr/include/crt/host_config.h", texts.HOST_CONFIG_10)
    machine.file(f"/usr/lib/{platform.machine()}-linux-gnu/libcudart.so", "")
    real = machine.root / parts.lstrip("/") / "bin"
    machine.program("nvcc", f"cat <<'END'\n{texts.NVCC['10.1.243']}END\n", folder=real)
    machine.program("nvcc", f'exec {real}/nvcc "$@"\n', folder=machine.root / "usr/bin")
    machine.path = f"{machine.root}/usr/bin:{machine.path}"
    (kit,) = kits(machine)
    assert kit["home"] == str(machine.root / "usr")
    assert kit["nvcc"] == str(machine.root / "usr/bin/nvcc")
    assert (kit["version"], kit["whole"], kit["gcc_max"]) == ("10.1", True, 8)


def test_an_nvcc_that_hangs_is_one_problem(machine: Any, toolkit: Maker) -> None:
    home = toolkit(machine.folder / "cuda", "")
    (home / "bin/nvcc").write_text("#!/bin/sh\nsleep 60\n")
    machine.path = f"{home}/bin:{machine.path}"
    facts = machine.look("--timeout", "0.5", "--only", "toolkits,python")
    (kit,) = [kit for kit in facts["toolkits"] if str(machine.folder) in kit["home"]]
    assert "gave no answer within 0.5 s" in kit["missing"][0]


def test_this_machines_own_nvcc(machine: Any) -> None:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc here")
    done = machine.run("--only", "toolkits")
    first = json.loads(done.stdout)["toolkits"][0]
    own = process.run([nvcc, "--version"]).stdout
    assert f"release {first['version']}" in own
    assert first["whole"] is True
    assert first["gcc_max"] >= 9


# --- compilers and tools


def test_compilers_by_every_name(machine: Any) -> None:
    machine.path = str(machine.bin)
    machine.program("gcc-8", "echo 8.4.0\n")
    machine.program("g++-13", 'case "$*" in *prog-name*) echo cc1plus ;; *) echo 13.2.0 ;; esac\n')
    machine.program("clang++", "echo 'Ubuntu clang version 14.0.0-1ubuntu1.1'\n")
    machine.program("x86_64-conda-linux-gnu-g++", "echo 11.2.0\n")
    machine.program("gcc-ar", "echo no compiler\n")
    machine.program("g++-broken", "echo no compiler\n")
    machine.program("gcc", "echo 'gcc: fatal error' >&2; exit 1\n")
    found = {c["name"]: c for c in machine.look("--only", "compilers")["compilers"]}
    found = {name: c for name, c in found.items() if c["path"].startswith(str(machine.bin))}
    assert set(found) == {"gcc-8", "g++-13", "clang++", "x86_64-conda-linux-gnu-g++", "gcc"}
    assert found["gcc-8"]["version"] == "8.4.0"
    assert found["clang++"]["version"] == "14.0.0"
    assert found["g++-13"]["works"] is False
    assert "cc1plus is missing" in found["g++-13"]["error"]
    assert found["gcc"]["error"] == "exited 1: gcc: fatal error"


def test_this_machines_own_gxx(machine: Any) -> None:
    if shutil.which("g++") is None:
        pytest.skip("no g++ here")
    done = machine.run("--only", "compilers")
    (own,) = [c for c in json.loads(done.stdout)["compilers"] if c["name"] == "g++"]
    assert own["works"] is True
    assert own["version"] == process.run(["g++", "-dumpfullversion"]).stdout.strip()


def test_tools_and_one_that_fails(machine: Any) -> None:
    machine.path = str(machine.bin)
    machine.program("sccache", "echo sccache 0.16.0\n")
    machine.program("podman", "echo cannot >&2; exit 125\n")
    conda = machine.program("conda", "sleep 60\n", folder=machine.folder / "conda/bin")
    record = machine.folder / "conda/conda-meta/conda-24.7.1-py312h7900ff3_0.json"
    record.parent.mkdir()
    record.write_text("{}")
    machine.env = {"CONDA_EXE": str(conda)}
    facts = machine.look("--only", "tools,environments")
    assert facts["tools"]["sccache"] == {"path": str(machine.bin / "sccache"), "version": "0.16.0"}
    assert facts["tools"]["podman"]["version"] is None
    assert facts["tools"]["conda"] == {"path": str(conda), "version": "24.7.1"}
    assert any("podman" in problem["error"] for problem in facts["problems"])
    assert {
        "path": str(machine.folder / "conda"),
        "kind": "conda",
        "name": "base",
        "python": None,
    } in (facts["environments"])
