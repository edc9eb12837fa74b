"""Arguments for scans, and interpreters that share this one's packages."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from environments import make_environment

__all__ = ["make_environment"]

torch = pytest.importorskip("torch", reason="the scan is written in torch")
SOURCE = Path(__file__).resolve().parents[3] / "src"


def make_arguments(
    batch: int = 2,
    dim: int = 4,
    length: int = 7,
    state: int = 3,
    *,
    b: str = "variable",
    c: str = "variable",
    groups: int = 2,
    is_complex: bool = False,
    extras: bool = True,
    dtype: Any = None,
    seed: int = 0,
) -> list[Any]:
    """u, delta, A, B, C, D, z, delta_bias. `b`, `c`: "constant", "variable" or "grouped"."""
    dtype = dtype or torch.float64
    random = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> Any:
        return torch.randn(shape, generator=random, dtype=dtype)

    def matrix(kind: str) -> Any:
        if kind == "constant":
            made = rand(dim, state)
            return torch.complex(made, rand(dim, state)) if is_complex else made
        steps = 2 * length if is_complex else length
        return rand(batch, *([groups] if kind == "grouped" else []), state, steps)

    A = -torch.rand(dim, state, generator=random, dtype=dtype)
    A = torch.complex(A, rand(dim, state)) if is_complex else A
    made = [rand(batch, dim, length), rand(batch, dim, length), A, matrix(b), matrix(c)]
    return made + ([rand(dim), rand(batch, dim, length), rand(dim)] if extras else [None] * 3)


@pytest.fixture
def arguments() -> Callable[..., list[Any]]:
    return make_arguments


@pytest.fixture
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script in a fresh interpreter that finds mambaops and, before all else, `path`."""

    def run(
        script: str, *, path: Path | None = None, python: str = sys.executable, **env: str
    ) -> subprocess.CompletedProcess[str]:
        folders = [str(p) for p in (path, SOURCE) if p is not None]
        return subprocess.run(
            [python, "-c", script],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(folders),
                "OMP_NUM_THREADS": "1",
                **env,
            },
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def pip_install() -> Callable[..., None]:
    """Run pip with these words (no dependencies); skip the test where the index is out of reach."""

    def install(*words: str | Path, **env: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "pip", *map(str, words), "-q", "--no-deps"],
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        unreachable = ("No matching distribution", "onnection", "Could not resolve")
        if done.returncode and any(sign in done.stderr for sign in unreachable):
            last = done.stderr.strip().splitlines()[-1]
            pytest.skip(f"the package index cannot be reached: {last}")
        assert done.returncode == 0, done.stderr

    return install


@pytest.fixture(scope="session")
def triton(
    tmp_path_factory: pytest.TempPathFactory, pip_install: Callable[..., None]
) -> Path | None:
    """A folder that holds Triton, which torch's CPU build comes without; None if it is installed."""
    if importlib.util.find_spec("triton") is not None:
        return None
    folder = tmp_path_factory.mktemp("triton")
    pip_install("install", "--only-binary", ":all:", "--target", folder, "triton")
    return folder
