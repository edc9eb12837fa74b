"""The torch table against the package index itself (minutes, so not in the default run)."""

from __future__ import annotations

import re
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from mambaops.core import process
from mambaops.knowledge.cuda import ToolkitRow, toolkits
from mambaops.knowledge.torch_builds import TorchRow, torch_rows

UV = Path(sysconfig.get_path("scripts")) / "uv"
pytestmark = [pytest.mark.slow, pytest.mark.network]
# before these releases the CUDA libraries and triton were no requirements of their own
WITH_REQUIREMENTS = [row for row in torch_rows() if row.triton]


def resolved(row: TorchRow, python: str) -> dict[str, str]:
    argv = [UV, "pip", "compile", "-", "-q", "--no-header", "--no-annotate"]
    argv += ["--python-version", python, "--python-platform", "x86_64-manylinux_2_28"]
    text = process.run(argv, stdin=f"torch=={row.patch}\n", timeout=120).stdout
    return dict(re.findall(r"^([\w-]+)==(\S+)$", text, re.MULTILINE))


@pytest.mark.parametrize("row", WITH_REQUIREMENTS, ids=lambda row: row.minor)
def test_default_cuda_and_triton(row: TorchRow) -> None:
    supported = [python for python in row.python if python not in row.python_experimental]
    found = resolved(row, supported[-1])
    runtime = [found[name] for name in found if name.startswith("nvidia-cuda-runtime")]
    assert len(runtime) == 1
    assert runtime[0].startswith(f"{row.default_cuda}.")
    assert found["triton"] == row.triton


@pytest.mark.parametrize("row", WITH_REQUIREMENTS, ids=lambda row: row.minor)
def test_it_has_wheels_for_its_oldest_and_newest_python(row: TorchRow) -> None:
    for python in (row.python[0], row.python[-1]):
        assert "torch" in resolved(row, python)


NVCC = [row for row in toolkits() if row.wheels_on_index and row.version != "13.0"]


@pytest.mark.parametrize("row", NVCC, ids=lambda row: row.version)
def test_host_compilers_and_architectures_of_nvcc(row: ToolkitRow, tmp_path: Path) -> None:
    """Its own header and its own list."""
    wheels = [f"{name}=={row.version}.*" for name in ("nvidia-cuda-crt", "nvidia-cuda-nvcc")]
    argv = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", tmp_path, *wheels]
    process.run(argv, timeout=600)
    for wheel in tmp_path.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tmp_path)
    header = next(tmp_path.rglob("host_config.h")).read_text()
    gcc, clang = re.search(r"#if __GNUC__ > (\d+)", header), re.search(r"_major__ >= (\d+)", header)
    assert gcc is not None
    assert clang is not None
    assert (int(gcc[1]), int(clang[1]) - 1) == (row.gcc_max, row.clang_max)
    nvcc = next(tmp_path.rglob("bin/nvcc"))
    nvcc.chmod(0o755)
    listed = process.run([nvcc, "--list-gpu-code"], timeout=60).stdout
    numbers = [int(text) for text in re.findall(r"sm_(\d+)$", listed, re.MULTILINE)]
    assert sorted(f"{one // 10}.{one % 10}" for one in numbers) == sorted(row.archs)
