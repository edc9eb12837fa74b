"""What `verify` does where there is no GPU: the kernels executed as PTX, with an outcome of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import kernel_sources
import pytest

from mambaops.core.paths import PACKAGE, payload_file
from mambaops.verify.checks import report
from mambaops.verify.model import Check, Verification

pytest.importorskip("numpy")
pytestmark = [pytest.mark.network, pytest.mark.long]


def emulated(
    tree: Path, cache: Path, emulator: Path = PACKAGE / "emulator"
) -> list[dict[str, Any]]:
    env = {
        **os.environ,
        "PYTHONPATH": str(tree),
        "MAMBAOPS_CACHE": str(cache),
        "MAMBAOPS_NVRTC": str(kernel_sources.nvrtc("12.1")),
    }
    argv = [
        sys.executable,
        payload_file("kernels_emulated.py"),
        "--emulator",
        emulator,
        "--arch",
        "8.0",
    ]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_kernels_are_executed_without_a_gpu(installed: Path, compiled_before: Path) -> None:
    found = emulated(installed, compiled_before)
    assert {one["id"]: one["outcome"] for one in found} == dict.fromkeys(
        (
            "results:scan",
            "results:scan:gradients",
            "results:convolution",
            "results:convolution:gradients",
            "results:convolution:update",
        ),
        "emulated",
    )
    assert all("not the machine code" in one["reason"] for one in found)


def test_wrong_numbers_fail(installed: Path, compiled_before: Path, tmp_path: Path) -> None:
    """A stride that is given in the place of another one."""
    for path in (*installed.glob("*_cuda"), *(installed / "mambaops_kernels").iterdir()):
        place = tmp_path / path.relative_to(installed)
        place.parent.mkdir(exist_ok=True)
        if path.name == "conv_struct.py":
            place.write_text(path.read_text().replace("*weight.stride(),", "1, 1,"))
        else:
            place.symlink_to(path)
    (tmp_path / "mambaops_kernels/sources.py").unlink()
    text = (installed / "mambaops_kernels/sources.py").read_text()
    (tmp_path / "mambaops_kernels/sources.py").write_text(text)
    found = {one["id"]: one for one in emulated(tmp_path, compiled_before)}
    assert found["results:scan"]["outcome"] == "emulated"
    assert found["results:convolution"]["outcome"] == "failed"
    assert found["results:convolution"]["reason"].startswith("out: other than float64's")


def test_without_an_emulator_it_is_skipped(
    installed: Path, compiled_before: Path, tmp_path: Path
) -> None:
    """As where the target environment has no numpy."""
    (tmp_path / "__init__.py").write_text("import numpy_that_is_not_there\n")
    (one,) = emulated(installed, compiled_before, tmp_path)
    assert one["outcome"] == "skipped"
    assert "numpy_that_is_not_there" in one["reason"]


def test_emulated_is_no_pass() -> None:
    """A verification of nothing but that has proven nothing, and the count says so."""
    alone = Verification(checks=[Check(id="results:scan", outcome="emulated")])
    assert not alone.passed
    assert report(alone)[-1] == "0 passed, 0 failed, 0 skipped, 1 emulated (no pass for a GPU)"
