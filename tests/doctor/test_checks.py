"""Each trouble of issue and catalogue is found before a build, on the machine that has it."""

from typing import Any

import pytest
from msgspec.structs import replace
from recorded import facts_of, names

from mambaops.doctor.examine import examine, exit_code
from mambaops.doctor.hardware import runs
from mambaops.doctor.model import AREAS, Check, release
from mambaops.facts.complete import complete
from mambaops.facts.model import Clock, Facts, GpuProcess
from mambaops.profiles.model import load_profile


def machine(name: str) -> Facts:
    return complete(facts_of(name))


def troubles(facts: Facts, profile: str = "") -> list[Check]:
    found = examine(facts, load_profile(profile) if profile else None)
    return [check for check in found if check.state in ("failed", "warning")]


def has(checks: list[Check], area: str, *words: str) -> bool:
    return any(
        check.area == area
        and all(word in f"{check.what} {check.cause} {check.cure}" for word in words)
        for check in checks
    )


@pytest.mark.parametrize(
    ("name", "area", "words"),
    [
        ("hopper", "toolkit", ("no nvcc", "bare_metal_version", "install-toolkit")),
        ("digress", "toolkit", ("11.6",)),
        ("ubuntu20-graph-mamba", "toolkit", ("12.8", "mismatches")),
        ("gcc15", "compiler", ("above what nvcc takes",)),
        ("no-gxx", "compiler", ("no g++",)),
        ("no-python-h", "Python", ("Python.h",)),
        ("debian13", "toolkit", ("glibc 2.41", "cospi")),
        ("debian13", "compiler", ("apt",)),
        ("centos7", "compiler", ("4.8.5",)),
        ("container-4gib", "disk and memory", ()),
        ("disk-full", "disk and memory", ("free",)),
        ("mixed-generations", "packages", ("incompatible function arguments",)),
        ("cpu-torch-on-gpu", "torch", ("CPU build", "install-torch")),
        ("wsl-5090-nvcc126", "GPU", ("12.0",)),
        ("wsl-5090-nvcc126", "toolkit", ("12.6", "12.0")),
        ("wsl-linux-driver", "WSL", ("Linux driver",)),
        ("broken-driver", "driver", ("communicate",)),
        ("broken-driver", "driver", ("libcuda.so", "-lcuda")),
        ("hanging-smi", "driver", ("timeout",)),
        ("ubuntu20-graph-mamba-glibc", "packages", ("2.32", "repair-wheel", "container")),
        ("wsl-5090-bare", "WSL", ("Windows drive",)),
        ("debian10-a800", "torch", ("setuptools", "pkg_resources")),
    ],
)
def test_trouble_is_found(name: str, area: str, words: tuple[str, ...]) -> None:
    found = troubles(machine(name))
    if name == "container-4gib":
        facts = machine(name)
        found = troubles(replace(facts, host=replace(facts.host, memory_available=1 << 30)))
        words = ("container", "Killed")
    assert has(found, area, *words), [check.what for check in found]


def changed(facts: Facts, part: str, **fields: Any) -> Facts:
    return replace(facts, **{part: replace(getattr(facts, part), **fields)})


def test_a_driver_below_torchs_cuda() -> None:
    facts = changed(machine("debian10-a800"), "torch", cuda="13.0", version="2.11.0+cu130")
    assert has(troubles(facts), "driver", "CUDA 13.0 needs driver 580")


def test_conda_nvcc_without_headers() -> None:
    facts = machine("ubuntu20-graph-mamba-glibc")
    kit = replace(facts.toolkits[0], whole=False, missing=["include/cuda_runtime.h"])
    found = troubles(replace(facts, toolkits=[kit]))
    assert has(found, "toolkit", "not whole", "conda install cuda-toolkit")
    assert has(found, "toolkit", "no nvcc")


def test_a_package_shadowed_by_its_source_folder() -> None:
    facts = machine("mixed-generations")
    package = replace(facts.packages["mamba-ssm"], shadowed_by="/home/user/mamba/mamba_ssm")
    facts = replace(facts, packages={**facts.packages, "mamba-ssm": package})
    assert has(troubles(facts), "packages", "shadowed by /home/user/mamba/mamba_ssm")


def test_a_package_without_its_compiled_part() -> None:
    facts = machine("mixed-generations")
    package = replace(facts.packages["mamba-ssm"], extensions=[])
    facts = replace(facts, packages={**facts.packages, "mamba-ssm": package})
    assert has(troubles(facts), "packages", "no compiled part")


def test_a_wrong_clock() -> None:
    facts = replace(
        machine("hopper"), clock=Clock(now="1970-01-01T00:00:00Z", skew="before this file was made")
    )
    assert has(troubles(facts), "disk and memory", "clock is wrong")


def test_a_proxy_without_exceptions() -> None:
    facts = replace(machine("hopper"), env={"HTTPS_PROXY": "http://proxy:3128"})
    assert has(troubles(facts), "network and mirrors", "NO_PROXY")


def test_gpu_memory_held_by_nobody_who_is_listed() -> None:
    facts = machine("debian10-a800")
    held = replace(facts.gpus[0], memory_used=70 << 30, display=False, processes=[])
    assert has(troubles(replace(facts, gpus=[held])), "GPU", "no process is listed", "release-gpu")
    held = replace(held, processes=[GpuProcess(pid=4242, name="python")])
    assert has(troubles(replace(facts, gpus=[held])), "GPU", "4242 python")


def test_numpy_2_with_an_old_torch() -> None:
    facts = machine("ubuntu22-cu118")
    numpy = replace(facts.packages["numpy"], version="2.1.1")
    facts = changed(facts, "torch", version="2.2.0+cu118")
    assert has(
        troubles(replace(facts, packages={**facts.packages, "numpy": numpy})), "packages", "numpy<"
    )


def test_a_machine_that_fits_has_nothing_to_mend() -> None:
    failed = [
        check
        for check in troubles(machine("wsl-5090-ready"), "wsl-5090")
        if check.state == "failed"
    ]
    assert failed == []


@pytest.mark.parametrize(
    ("name", "profile", "status"),
    [
        ("wsl-5090-ready", "wsl-5090", 0),
        ("hopper", "hopper", 1),
        ("v100", "wsl-5090", 4),
        ("no-gpu", "wsl-5090", 4),
        ("no-gpu", "", 1),
        ("broken-driver", "", 4),
    ],
)
def test_exit_status(name: str, profile: str, status: int) -> None:
    assert exit_code(examine(machine(name), load_profile(profile) if profile else None)) == status


@pytest.mark.parametrize("name", names())
def test_every_area_is_spoken_of_and_every_trouble_has_a_cure(name: str) -> None:
    found = examine(machine(name))
    assert {check.area for check in found} == set(AREAS)
    assert list(
        dict.fromkeys(
            AREAS.index(c.area) for c in found if c.area != "WSL" and "libcuda" not in c.what
        )
    ) == [index for index, area in enumerate(AREAS) if area != "WSL"]
    for check in found:
        if check.state in ("failed", "warning"):
            assert check.cause and check.cure, check.what


@pytest.mark.parametrize(
    ("archs", "capability", "expected"),
    [
        (["sm_80", "sm_90"], "8.6", True),
        (["sm_90"], "8.6", False),
        (["sm_75", "compute_90"], "12.0", True),
        (["sm_100", "sm_120"], "12.1", True),
        (["sm_90a"], "9.0", True),
    ],
)
def test_runs(archs: list[str], capability: str, expected: bool) -> None:
    assert runs(archs, capability) is expected


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("12.8.93", (12, 8, 93)), ("2.6.0+cu124", (2, 6, 0)), (None, ()), ("2.9.0.dev1", (2, 9, 0))],
)
def test_release(text: str | None, numbers: tuple[int, ...]) -> None:
    assert release(text) == numbers
