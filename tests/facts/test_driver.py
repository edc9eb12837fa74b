"""The probe with stand-ins for nvidia-smi: whole, hanging, broken, old, garbled, under WSL."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import texts

ONLY = ("--only", "driver,gpus")


def test_no_driver(machine: Any) -> None:
    facts = machine.look(*ONLY)
    assert facts["driver"]["state"] == "absent"
    assert facts["driver"]["version"] is None
    assert facts["gpus"] == []
    assert "nvidia-smi" in facts["sources"]["driver"]
    assert facts["problems"] == []


def test_a_gpu_without_a_driver_is_seen_on_the_bus(machine: Any) -> None:
    machine.file("/sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n")
    machine.file("/sys/bus/pci/devices/0000:01:00.0/class", "0x030000\n")
    driver = machine.look(*ONLY)["driver"]
    assert driver["state"] == "absent"
    assert "no driver is loaded" in driver["error"]


def test_the_a800_of_the_notes(machine: Any) -> None:
    machine.smi(texts.A800_TABLE, texts.A800_QUERY)
    facts = machine.look(*ONLY)
    assert facts["driver"]["state"] == "ok"
    assert (facts["driver"]["version"], facts["driver"]["cuda"]) == ("535.104.12", "12.2")
    (gpu,) = facts["gpus"]
    assert (gpu["name"], gpu["compute_capability"]) == ("NVIDIA A800 80GB PCIe", "8.0")


def test_several_gpus_mig_and_who_uses_them(machine: Any) -> None:
    import os

    rows = [
        f"{i}, NVIDIA A100-SXM4-80GB, GPU-{i}, 8.0, 81920, 450, "
        f"{'Enabled' if i < 2 else 'Disabled'}, Disabled, 535.183.06"
        for i in range(8)
    ]
    apps = f"GPU-7, {os.getpid()}, /opt/conda/bin/python, 430\nGPU-gone, 1, x, 1\n"
    machine.smi(texts.A800_TABLE, "\n".join(rows) + "\n", apps=apps)
    gpus = machine.look(*ONLY)["gpus"]
    assert [gpu["mig"] for gpu in gpus] == [True, True] + [False] * 6
    (process,) = gpus[7]["processes"]
    assert (process["pid"], process["memory"]) == (os.getpid(), 430 << 20)
    assert process["user"]
    assert all(not gpu["processes"] for gpu in gpus[:7])


def test_one_that_hangs_is_ended_in_time(machine: Any) -> None:
    pid = machine.folder / "pid"
    machine.program("nvidia-smi", f"echo $$ > {pid}\nexec sleep 60\n")
    machine.file("/sys/module/nvidia/version", "570.124.06\n")
    facts = machine.look("--timeout", "0.5")
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()
    assert facts["driver"]["state"] == "timeout"
    assert facts["driver"]["version"] == "570.124.06"
    assert "no answer within 0.5 s" in facts["driver"]["error"]
    assert [problem["fact"] for problem in facts["problems"]] == ["gpus"]
    assert facts["python"]["version"]  # the others stand


def test_only_the_query_hangs(machine: Any) -> None:
    table = machine.folder / "t"
    table.write_text(texts.A800_TABLE)
    script = f'case "$*" in *--query*) sleep 60 ;; *) cat {table} ;; esac\n'
    machine.program("nvidia-smi", script)
    facts = machine.look("--timeout", "0.5", *ONLY)
    assert facts["driver"]["cuda"] == "12.2"
    assert facts["gpus"] == []
    assert facts["problems"]


@pytest.mark.parametrize("text", [texts.BROKEN, texts.MISMATCH])
@pytest.mark.parametrize("stream", ["", " >&2"])
def test_a_broken_driver(machine: Any, text: str, stream: str) -> None:
    machine.program("nvidia-smi", f'echo "{text.strip()}"{stream}\nexit 9\n')
    machine.file("/proc/driver/nvidia/version", texts.KERNEL_DRIVER)
    driver = machine.look(*ONLY)["driver"]
    assert driver["state"] == "broken"
    assert driver["error"] == text.strip()
    assert driver["version"] == "535.104.12"


def test_no_devices(machine: Any) -> None:
    machine.program("nvidia-smi", 'echo "No devices were found"\nexit 6\n')
    facts = machine.look(*ONLY)
    assert facts["driver"]["state"] == "ok"
    assert facts["driver"]["error"] == "No devices were found"
    assert facts["gpus"] == []


def test_a_driver_too_old_for_compute_cap(machine: Any) -> None:
    (machine.folder / "t").write_text(texts.V100_OLD_TABLE)
    script = f"""case "$*" in
*compute_cap*) echo 'Field "compute_cap" is not a valid field to query.'; exit 2 ;;
*--query-gpu*) echo "0, Tesla V100-PCIE-32GB, GPU-a, 32510, 0, Disabled" ;;
*--query-compute-apps*) ;;
*) cat {machine.folder}/t ;;
esac
"""
    machine.program("nvidia-smi", script)
    facts = machine.look(*ONLY)
    (gpu,) = facts["gpus"]
    assert (gpu["name"], gpu["compute_capability"]) == ("Tesla V100-PCIE-32GB", None)
    assert facts["driver"]["cuda"] == "11.4"


def test_a_wrapper_that_always_prints_the_table(machine: Any) -> None:
    machine.smi(texts.A800_TABLE, texts.A800_TABLE, apps=texts.A800_TABLE)
    (gpu,) = machine.look(*ONLY)["gpus"]
    assert gpu["memory_total"] == 81920 << 20


def test_garbled_output_harms_nothing(machine: Any) -> None:
    machine.program("nvidia-smi", r"printf '\377\376\000 \303\050 , , ,\n'" + "\n")
    facts = machine.look()
    assert facts["driver"]["state"] == "broken"
    assert facts["python"]["version"]


def test_it_is_asked_in_the_c_locale(machine: Any) -> None:
    machine.env = {"LC_ALL": "zh_CN.UTF-8", "LANGUAGE": "zh"}
    script = 'if [ "$LC_ALL$LANGUAGE" = CC ]; then cat %s/t; else echo 驱动程序; fi\n'
    (machine.folder / "t").write_text(texts.A800_TABLE)
    machine.program("nvidia-smi", script % machine.folder)
    assert machine.look(*ONLY)["driver"]["cuda"] == "12.2"


WSL2 = "5.15.167.4-microsoft-standard-WSL2\n"


def test_wsl_takes_the_nvidia_smi_that_windows_shares(machine: Any) -> None:
    machine.file("/proc/sys/kernel/osrelease", WSL2)
    machine.file("/etc/wsl.conf", "[automount]\nroot = /windows/\n")
    shared = machine.root / "usr/lib/wsl/lib"
    machine.smi(
        texts.WSL_5090_TABLE,
        "0, NVIDIA GeForce RTX 5090, GPU-5090, 12.0, 32607, 1450, [N/A], Enabled, 572.16\n",
        where=shared,
    )
    machine.file("/usr/lib/wsl/lib/libcuda.so.1", "")
    machine.file("/usr/lib/wsl/lib/libcuda.so", "")
    machine.program("nvidia-smi", f'echo "{texts.MISMATCH.strip()}"; exit 18\n')  # a Linux driver's
    facts = machine.look()
    driver = facts["driver"]
    assert (driver["state"], driver["kind"], driver["cuda"]) == ("ok", "wsl", "12.8")
    assert driver["version"] == "572.16"
    assert driver["libcuda"] == f"{shared}/libcuda.so.1"
    assert driver["libcuda_link"] == f"{shared}/libcuda.so"
    assert driver["linux_driver_in_wsl"] is False
    assert facts["gpus"][0]["display"] is True
    assert facts["host"]["wsl"] == 2
    assert facts["host"]["wsl_automount_root"] == "/windows/"


def test_a_linux_driver_inside_wsl_is_told(machine: Any) -> None:
    import platform

    machine.file("/proc/sys/kernel/osrelease", WSL2)
    machine.file(f"/usr/lib/{platform.machine()}-linux-gnu/libcuda.so.1", "")
    machine.program("nvidia-smi", f'echo "{texts.MISMATCH.strip()}"; exit 18\n')
    driver = machine.look(*ONLY)["driver"]
    assert driver["linux_driver_in_wsl"] is True
    assert driver["state"] == "broken"


def test_windows_folders_on_path_are_left_out_under_wsl(machine: Any) -> None:
    windows = machine.folder / "mnt" / "c" / "Windows"
    machine.program("g++", "echo 99.0\n", folder=windows)
    machine.file("/proc/sys/kernel/osrelease", WSL2)
    machine.file("/etc/wsl.conf", f"[automount]\nroot = {machine.folder}/mnt/\n")
    machine.path = f"{windows}:{machine.path}"
    found = [compiler["path"] for compiler in machine.look("--only", "compilers")["compilers"]]
    assert not any(path.startswith(str(windows)) for path in found)


def test_wsl_1(machine: Any) -> None:
    machine.file("/proc/sys/kernel/osrelease", "4.4.0-19041-Microsoft\n")
    assert machine.look("--only", "host")["host"]["wsl"] == 1


@pytest.mark.parametrize(
    ("given", "state", "cuda"), [("12.8", "ok", "12.8"), ("none", "absent", None)]
)
def test_the_override(machine: Any, given: str, state: str, cuda: str | None) -> None:
    machine.env = {"MAMBAOPS_DRIVER_CUDA": given}
    driver = machine.look(*ONLY)["driver"]
    assert (driver["state"], driver["cuda"]) == (state, cuda)
    assert driver["source"] == "MAMBAOPS_DRIVER_CUDA"


def test_a_senseless_override_is_told(machine: Any) -> None:
    machine.env = {"MAMBAOPS_DRIVER_CUDA": "cu128"}
    assert "not a version" in machine.look(*ONLY)["driver"]["error"]


def test_jetson_without_nvidia_smi(machine: Any) -> None:
    machine.file("/proc/device-tree/model", "NVIDIA Jetson AGX Orin Developer Kit\0")
    (gpu,) = machine.look(*ONLY)["gpus"]
    assert gpu["name"] == "NVIDIA Jetson AGX Orin Developer Kit"


def test_libcuda_alone_tells_its_cuda(machine: Any) -> None:
    """A container with the libraries mounted and no nvidia-smi: a stand-in library answers."""
    import platform
    import shutil

    from mambaops.core import process

    if shutil.which("gcc") is None:
        pytest.skip("no gcc to make a library with")
    source = machine.folder / "cuda.c"
    source.write_text("int cuDriverGetVersion(int *v) { *v = 12080; return 0; }\n")
    library = machine.file(f"/usr/lib/{platform.machine()}-linux-gnu/libcuda.so.1", "")
    process.run(["gcc", "-shared", "-fPIC", "-o", library, source])
    driver = machine.look(*ONLY)["driver"]
    assert (driver["state"], driver["cuda"]) == ("ok", "12.8")
    assert driver["source"] == str(library)
