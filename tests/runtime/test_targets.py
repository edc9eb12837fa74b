"""Which machine code for which GPU by which NVRTC, where NVRTC lies, and the wheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import kernel_sources
import pytest

from mambaops.core.paths import payload_file
from mambaops.runtime import headers
from mambaops.runtime.wheel import files_of, write_tree, write_wheel
from mambaops.wheels.record import is_file_as_recorded, read_record

KERNELS = payload_file("kernels")


def ask(lines: str, *, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
    values = {**os.environ, "PYTHONPATH": str(KERNELS), **env}
    argv = [sys.executable, "-c", lines]
    return subprocess.run(argv, env=values, capture_output=True, text=True, check=check)


TARGETS = """
import json
from mambaops_kernels.architectures import target
def asked(gpu, cuda):
    try: return target(gpu, cuda).option
    except ValueError as error: return str(error)
cases = json.loads(%r)
print(json.dumps([asked(tuple(gpu), tuple(cuda)) for gpu, cuda, _ in cases]))
"""
CASES = [
    ((9, 0), (13, 0), "sm_90"),
    ((12, 0), (12, 8), "sm_120"),
    ((8, 0), (11, 7), "sm_80"),
    ((8, 6), (11, 8), "sm_86"),
    ((8, 9), (11, 7), "sm_86"),  # code of the same major
    ((12, 1), (12, 8), "sm_120"),
    ((10, 3), (13, 0), "sm_100"),  # the miscompile
    ((10, 0), (12, 8), "sm_100"),
    ((9, 0), (11, 7), "compute_86"),  # the driver finishes it
    ((12, 0), (12, 1), "compute_90"),
    ((8, 7), (12, 8), "sm_87"),  # Tegra: its own
    ((7, 5), (13, 0), "sm_75"),
    ((14, 0), (13, 0), "compute_121"),  # a GPU that is not known yet
    (
        (8, 7),
        (11, 1),
        "makes no code for a GPU of capability 8.7; it takes the NVRTC of CUDA 11.4 or newer",
    ),
    ((7, 0), (13, 0), "makes no code for a GPU of capability 7.0; it takes the NVRTC of CUDA 12"),
]


def test_targets() -> None:
    given = json.loads(ask(TARGETS % json.dumps(CASES)).stdout)
    wrong = [(case, one) for case, one in zip(CASES, given) if not one.endswith(case[2])]
    assert wrong == []


FIND = """
import json, sys
from mambaops_kernels import locate
found = locate.find({cuda!r})
print(json.dumps([found.cuda, found.library, found.builtins, found.include]))
"""


def _cuda(
    folder: Path, *, libraries: str, names: list[str], include: str = "", version: int = 0
) -> None:
    place = folder / libraries
    place.mkdir(parents=True, exist_ok=True)
    for name in names:
        (place / name).touch()
    if include:
        (folder / include).mkdir(parents=True, exist_ok=True)
        (folder / include / "cuda_bf16.h").touch()
        (folder / include / "cuda.h").write_text(f"#define CUDA_VERSION {version}\n")


def test_nvrtc_of_torchs_wheels(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    _cuda(site, libraries="nvidia/cuda_nvrtc/lib", include="nvidia/cuda_runtime/include", version=12080,
          names=["libnvrtc.so.12", "libnvrtc.alt.so.12", "libnvrtc-builtins.so.12.8", "libnvrtc-builtins.alt.so.12.8"])  # fmt: skip
    _cuda(site, libraries="nvidia/cu13/lib", include="nvidia/cu13/include", version=13000,
          names=["libnvrtc.so.13", "libnvrtc-builtins.so.13.0"])  # fmt: skip
    # first: the tests' own torch may have brought an NVRTC
    path = f"import sys; sys.path.insert(0, {str(site)!r})\n"
    for cuda, folder, include in (
        ("12.8", "nvidia/cuda_nvrtc/lib", "nvidia/cuda_runtime/include"),
        ("13.0", "nvidia/cu13/lib", "nvidia/cu13/include"),
        ("13.2", "nvidia/cu13/lib", "nvidia/cu13/include"),
    ):
        found = json.loads(ask(path + FIND.format(cuda=cuda)).stdout)
        version = "13.0" if cuda == "13.2" else cuda
        assert ".".join(map(str, found[0])) == version
        assert found[1] == str(site / folder / f"libnvrtc.so.{version.split('.')[0]}")
        assert found[2] == str(site / folder / f"libnvrtc-builtins.so.{version}")
        assert found[3] == [str(site / include)]


def test_nvrtc_within_torchs_own_folder(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    _cuda(
        site,
        libraries="torch/lib",
        names=["libnvrtc-672ee683.so.11.2", "libnvrtc-builtins-2dc4bf68.so.11.8", "libtorch.so"],
    )
    path = f"import sys; sys.path.append({str(site)!r})\n"
    found = json.loads(ask(path + FIND.format(cuda="11.8")).stdout)
    assert found == [
        [11, 8],
        str(site / "torch/lib/libnvrtc-672ee683.so.11.2"),
        str(site / "torch/lib/libnvrtc-builtins-2dc4bf68.so.11.8"),
        [],
    ]


def test_nvrtc_of_windows(tmp_path: Path) -> None:
    _cuda(
        tmp_path,
        libraries="bin",
        names=["nvrtc64_120_0.dll", "nvrtc64_120_0.alt.dll", "nvrtc-builtins64_128.dll"],
    )
    found = json.loads(ask(FIND.format(cuda="12.8"), MAMBAOPS_NVRTC=str(tmp_path)).stdout)
    assert found == [
        [12, 8],
        str(tmp_path / "bin/nvrtc64_120_0.dll"),
        str(tmp_path / "bin/nvrtc-builtins64_128.dll"),
        [],
    ]


def test_no_nvrtc_says_where_it_was_looked_for(tmp_path: Path) -> None:
    done = ask(FIND.format(cuda="12.8"), check=False, MAMBAOPS_NVRTC=str(tmp_path))
    last = done.stderr.strip().splitlines()[-1]
    assert (
        f"no NVRTC was found, so no kernel can be compiled; it was looked for in {tmp_path}" in last
    )
    assert "pip install nvidia-cuda-nvrtc-cu12 nvidia-cuda-runtime-cu12" in last


def test_headers_that_are_reached_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "cub/block").mkdir(parents=True)
    for name, text in {
        "cub/block/block_load.cuh": '#include <cub/config.cuh>\n#  include "near.cuh"\n#include <vector>\n',
        "cub/block/near.cuh": "#include __THRUST_DEVICE_SYSTEM_TAG_HEADER\n#define H <__THRUST_DEVICE_SYSTEM_ROOT/detail/policy.h>\n",
        "cub/config.cuh": "",
        "cub/other.cuh": "",
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "thrust/system/cuda/detail").mkdir(parents=True)
    (tmp_path / "thrust/system/cuda/detail/policy.h").write_text("")
    assert sorted(headers.closure(tmp_path, ["cub/block/block_load.cuh"])) == [
        "cub/block/block_load.cuh",
        "cub/block/near.cuh",
        "cub/config.cuh",
        "thrust/system/cuda/detail/policy.h",
    ]


def test_names_of_headers_lead_nowhere_else(tmp_path: Path) -> None:
    """No `..` in a wheel, whose members must not climb."""
    for name, text in {
        "cuda/std/utility": "#include <cuda/std/__a/b.h>\n",
        "cuda/std/__a/b.h": "#include <cuda/std/__a/../__c/d.h>\n#include <../../../../etc/passwd>\n",
        "cuda/std/__c/d.h": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert sorted(headers.closure(tmp_path, ["cuda/std/utility"])) == [
        "cuda/std/__a/b.h",
        "cuda/std/__c/d.h",
        "cuda/std/utility",
    ]


WITHOUT_HEADERS = """
from mambaops_kernels import compiler, locate, rules
from mambaops_kernels.architectures import Target
from mambaops_kernels.sources import installed
toolchain = locate.find("11.8")
made = compiler.compile_kernel(installed(), rules.conv_instances("bf16", "fp32")[-1], toolchain, Target("cubin", (8, 0)))
print(toolchain.include, made.head["cuda"])
"""


@pytest.mark.network
def test_a_torch_of_cuda_11_brings_no_headers(tmp_path: Path) -> None:
    """PyTorch's own wheels carry libnvrtc alone: CUDA's headers come with the kernels."""
    cuda = kernel_sources.nvrtc("11.8")
    (library,) = cuda.rglob("libnvrtc.so.11.2")
    (header,) = cuda.rglob("cuda_bf16.h")
    given = {"cccl12": kernel_sources.cccl()["cccl12"], "cuda11": header.parent}
    site = write_tree(files_of(kernel_sources.newest(), given), tmp_path / "site")
    alone = tmp_path / "torch/lib"
    alone.parent.mkdir()
    alone.symlink_to(library.parent)
    done = ask(WITHOUT_HEADERS, PYTHONPATH=str(site), MAMBAOPS_NVRTC=str(alone))
    assert done.stdout.split() == ["()", "[11,", "8]"]


@pytest.mark.network
def test_the_wheel_installs_is_listed_and_goes(tmp_path: Path) -> None:
    files = files_of(kernel_sources.newest(), kernel_sources.cccl())
    wheel = write_wheel(files, tmp_path)
    assert wheel.name == "mambaops_kernels-1.0-py3-none-any.whl"
    assert write_wheel(files, tmp_path / "again").read_bytes() == wheel.read_bytes()
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "--quiet", "install", "--no-deps", "--no-index", "--target"]
    subprocess.run([*pip, target, wheel], check=True, capture_output=True)
    (record,) = target.glob("*.dist-info/RECORD")
    entries = [e for e in read_record(record.read_text()) if e.hash_ is not None]
    assert all(is_file_as_recorded(entry, target / entry.path) for entry in entries)
    for module in ("selective_scan_cuda", "causal_conv1d_cuda"):
        assert (target / module / "__init__.py").is_file()
    for package in ("mamba_ssm", "causal_conv1d"):
        folder = target / "mambaops_kernels/sources" / package
        assert (folder / "LICENSE").is_file()
        assert "Nothing else was changed" in (folder / "NOTICE.mambaops").read_text()
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
