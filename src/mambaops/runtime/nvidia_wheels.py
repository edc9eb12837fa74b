"""Wheels that kernels are compiled with, unpacked once per machine: CCCL's headers, and NVRTC of another CUDA than torch's."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from mambaops.core import process
from mambaops.core.errors import CommandFailed, MambaopsError
from mambaops.core.paths import cache_dir

# puts the wheels of some requirements into a folder
Fetch = Callable[[Sequence[str], Path], None]

# CUDA major -> (name in `mambaops-kernels`, requirement, include folder inside the wheel). The CCCL of 12.8 serves
# CUDA 11 as well, whose own wheels lack libcu++; pinned: kernels compiled with another one are other kernels.
_CCCL = {
    12: ("cccl12", "nvidia-cuda-cccl-cu12==12.8.90", "nvidia/cuda_cccl/include"),
    13: ("cccl13", "nvidia-cuda-cccl==13.0.85", "nvidia/cu13/include/cccl"),
}


def cccl(cuda: str, fetch: Fetch) -> dict[str, Path]:
    """Its name in `mambaops-kernels` -> the include folder, for a CUDA ("12.8"); fetched once.

    Raises:
        MambaopsError: it is not to be had.
    """
    name, requirement, inside = _CCCL[13 if _major(cuda) >= 13 else 12]
    folder = cache_dir() / "cccl" / requirement.partition("==")[2]
    if not (folder / inside / "cub").is_dir():
        _unpacked([requirement], folder, fetch)
    return {name: folder / inside}


def headers(cuda: str, fetch: Fetch) -> dict[str, Path]:
    """Everything that kernels include and that a torch of that CUDA may lack: as `cccl`, and CUDA's own for 11.

    PyTorch's wheels for CUDA 11 carry NVRTC without headers; newer ones stand on a wheel that has them.

    Raises:
        MambaopsError: as `cccl`.
    """
    found = cccl(cuda, fetch)
    if _major(cuda) == 11:
        folder = cache_dir() / "cuda-headers" / cuda
        if not folder.is_dir():
            _unpacked(nvrtc_requirements(cuda)[1:], folder, fetch)
        found["cuda11"] = folder / "nvidia/cuda_runtime/include"
    return found


def nvrtc(cuda: str, fetch: Fetch) -> Path:
    """A folder with NVRTC of a CUDA ("12.8") and the headers of its CUDA, fetched once.

    Raises:
        MambaopsError: the index has none of that version.
    """
    folder = cache_dir() / "nvrtc" / cuda
    if not folder.is_dir():
        _unpacked(nvrtc_requirements(cuda), folder, fetch)
    return folder


def nvrtc_requirements(cuda: str) -> list[str]:
    """The wheels of a compiler library and of its headers."""
    suffix = "" if _major(cuda) >= 13 else f"-cu{_major(cuda)}"
    return [f"nvidia-cuda-{one}{suffix}=={cuda}.*" for one in ("nvrtc", "runtime")]


def pip(python: Path, log: Path | None = None) -> Fetch:
    """Fetching by an interpreter's pip, which knows the user's package index."""

    def fetch(requirements: Sequence[str], folder: Path) -> None:
        argv: list[str | Path] = [python, "-m", "pip", "download", "--no-deps", "--no-input"]
        argv += ["--only-binary", ":all:", "--dest", folder, *requirements]
        try:
            process.run(argv, env={**os.environ, "LC_ALL": "C"}, log=log, timeout=600)
        except CommandFailed as error:
            raise MambaopsError(
                f"{' and '.join(requirements)} could not be fetched from the package index: "
                f"{(error.output.strip().splitlines() or [error.message])[-1]}",
                hint="`--obtain source` builds with nvcc instead",
            ) from error

    return fetch


def _major(cuda: str) -> int:
    return int(cuda.split(".")[0])


def _unpacked(requirements: Sequence[str], folder: Path, fetch: Fetch) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".wheels-", dir=folder.parent) as aside:
        fetch(requirements, Path(aside))
        whole = Path(aside) / "whole"
        for wheel in Path(aside).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(whole)
        if folder.exists():
            # another process was quicker, or a damaged one lies there
            shutil.rmtree(folder)
        whole.replace(folder)
