"""VMamba's scans without nvcc: which of its files are taken, what is refused, and their numbers against float64."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import kernel_sources
import pytest

from mambaops.core.errors import MambaopsError
from mambaops.core.paths import PACKAGE
from mambaops.runtime.identity import kernel_packages
from mambaops.runtime.kernel_files import KernelSource, check_binding, kernel_files, parts_of
from mambaops.runtime.tokens import UnknownShape
from mambaops.runtime.wheel import files_of, write_tree

HERE = Path(__file__).parent
# a rounding of the type, on results of a few dozen additions in fp32
WITHIN = {"fp32": 2e-6, "fp16": 2e-3, "bf16": 1.2e-2}
CASES: list[dict[str, Any]] = [
    {"mode": "oflex", "length": 37, "dtype": "fp16", "wide": True, "shared": 2},
    {"mode": "nrow", "length": 37, "rows": 2},
]
MORE: list[dict[str, Any]] = [
    *[{"mode": "oflex", "length": n, "dtype": t} for n in (129, 512, 1024) for t in WITHIN],
    *[{"mode": "oflex", "length": n, "dtype": "bf16", "wide": True} for n in (256, 1500, 2048)],
    {"mode": "oflex", "length": 40, "shared": 4, "groups": 2, "softplus": False},
    {"mode": "oflex", "length": 40, "shared": 2, "more": False},
    {"mode": "oflex", "length": 256, "dtype": "bf16", "wide": True, "cut": 1},
    *[{"mode": "core", "length": n, "softplus": False} for n in (256, 600, 2100)],
    {"mode": "core", "length": 128, "dtype": "bf16", "groups": 2},
    {"mode": "core", "length": 128, "cut": 1, "more": False},
    {"mode": "ndstate", "length": 300, "groups": 2},
    *[{"mode": "ndstate", "length": n, "dtype": t} for n in (1, 128, 2100) for t in WITHIN],
    *[{"mode": "nrow", "length": 130, "rows": n, "dtype": "bf16"} for n in (1, 3, 4)],
    {"mode": "nrow", "length": 128, "rows": 2, "groups": 2},
]


def made_tree(folder: Path, *modes: tuple[str, str]) -> KernelSource:
    """A tree laid out as VMamba's, without its code."""
    top = folder / "csrc/selective_scan"
    for name, ending in modes:
        (top / name).mkdir(parents=True)
        for way in ("fwd", "bwd"):
            (top / name / f"selective_scan_{way}_kernel{ending}.cuh").write_text("#pragma once\n")
        (top / name / f"selective_scan{ending}.cpp").write_text("int checks;\n")
    return KernelSource(package="selective-scan", version="0", tree=folder, sha256="0" * 64)


def test_modules_are_those_whose_files_are_there(tmp_path: Path) -> None:
    source = made_tree(tmp_path, ("cus", ""), ("cusndstate", "_ndstate"))
    (tmp_path / "csrc/selective_scan/cusoflex").mkdir()
    modules = ["selective_scan_cuda_core", "selective_scan_cuda_ndstate"]
    assert [part.module for part in parts_of(source)] == modules
    assert set(kernel_files(source)) == {name for part in parts_of(source) for name in part.names}


def test_a_tree_without_kernels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MambaopsError, match=r"holds no cus/selective_scan_fwd_kernel\.cuh"):
        parts_of(made_tree(tmp_path))


def test_bindings_and_launchers_that_nobody_has_read_are_refused(tmp_path: Path) -> None:
    source = made_tree(tmp_path, ("cusoflex", "_oflex"))
    with pytest.raises(UnknownShape, match=r"bindings .* cusoflex/selective_scan_oflex.cpp"):
        check_binding(source, parts_of(source)[0])
    with pytest.raises(UnknownShape):
        files_of((source,), {})


def test_its_kernels_are_compiled_only_where_their_source_is_given() -> None:
    assert "selective-scan" not in kernel_packages()
    assert "selective-scan" in kernel_packages(["selective-scan"])


@pytest.mark.network
def test_its_modules_are_installed_only_with_its_sources() -> None:
    plain = files_of(kernel_sources.newest(), kernel_sources.cccl())
    assert not [path for path in plain if path.startswith("selective_scan_cuda_")]
    newest = (*kernel_sources.newest(), kernel_sources.vmamba("newest"))
    found = files_of(newest, kernel_sources.cccl())
    modules = {path.partition("/")[0] for path in found if path.startswith("selective_scan_cuda_")}
    assert modules == {"selective_scan_cuda_core", "selective_scan_cuda_oflex"}
    folder = "mambaops_kernels/sources/selective_scan"
    assert b"Permission is hereby granted" in found[f"{folder}/LICENSE"]
    assert (
        b"cusoflex/selective_scan_fwd_kernel_oflex.cuh: cut" in found[f"{folder}/NOTICE.mambaops"]
    )


def emulated(tmp_path: Path, cuda: str, cases: list[dict[str, Any]]) -> None:
    sources = (*kernel_sources.newest(), kernel_sources.vmamba("all"))
    # the newest oflex, and the older ones of the modules that it no longer has
    newest = (*kernel_sources.newest(), kernel_sources.vmamba("newest"))
    for chosen, wanted in ((newest, True), (sources, False)):
        mine = [one for one in cases if (one["mode"] in ("core", "oflex")) == wanted]
        if mine:
            _run(tmp_path / str(wanted), cuda, mine, chosen)


def _run(
    folder: Path, cuda: str, cases: list[dict[str, Any]], sources: tuple[KernelSource, ...]
) -> None:
    site = write_tree(files_of(sources, kernel_sources.cccl()), folder)
    cache = kernel_sources.FOLDER / "compiled"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), str(PACKAGE.parent)]),
        "MAMBAOPS_CACHE": str(cache),
        "MAMBAOPS_NVRTC": str(kernel_sources.nvrtc(cuda)),
        "OMP_NUM_THREADS": "1",
    }
    argv = [sys.executable, str(HERE / "vmamba_calls.py"), json.dumps(cases)]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == len(cases)
    for one, (found, launches) in zip(cases, results):
        mode, even = (
            one["mode"],
            one["length"] in (128, 256, 512, 1024, 2048) and not one.get("cut"),
        )
        assert [family for family, _ in launches] == [f"{mode}_fwd", f"{mode}_bwd"], one
        assert any(value is True for value in launches[0][1]) == even, one
        within = WITHIN[one.get("dtype", "fp32")]
        assert {name: far for name, far in found.items() if not far <= within} == {}, one


@pytest.mark.long
@pytest.mark.network
def test_results_and_gradients_are_those_of_float64(tmp_path: Path) -> None:
    emulated(tmp_path, "12.8", CASES)


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("cuda", ["12.1", "13.0"])
def test_more_results_and_gradients_are_those_of_float64(tmp_path: Path, cuda: str) -> None:
    emulated(tmp_path, cuda, MORE)
