"""The torch table against the package index itself (minutes, so not in the default run)."""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path

import pytest

from mambaops.core import process
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
