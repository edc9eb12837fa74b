"""The headers of CCCL (CUB and libcu++), which torch does not bring along: one wheel of headers from the package index."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from mambaops.core import process
from mambaops.core.errors import CommandFailed, MambaopsError
from mambaops.core.paths import cache_dir

# CUDA major -> (name in `mambaops-kernels`, requirement, include folder inside the wheel). The CCCL of 12.8 serves
# CUDA 11 as well, whose own wheels lack libcu++; pinned: kernels compiled with another one are other kernels.
_WHEELS = {
    12: ("cccl12", "nvidia-cuda-cccl-cu12==12.8.90", "nvidia/cuda_cccl/include"),
    13: ("cccl13", "nvidia-cuda-cccl==13.0.85", "nvidia/cu13/include/cccl"),
}


def cccl(cuda: str, *, python: Path, log: Path | None = None) -> dict[str, Path]:
    """Its name in `mambaops-kernels` -> the include folder, for torch's CUDA ("12.8"); fetched once.

    Args:
        python: an interpreter with pip, which knows the user's package index.

    Raises:
        MambaopsError: it is not to be had.
    """
    name, requirement, inside = _WHEELS[13 if int(cuda.split(".")[0]) >= 13 else 12]
    folder = cache_dir() / "cccl" / requirement.partition("==")[2]
    if not (folder / inside / "cub").is_dir():
        _fetch(requirement, folder, python, log)
    return {name: folder / inside}


def _fetch(requirement: str, folder: Path, python: Path, log: Path | None) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".cccl-", dir=folder.parent) as aside:
        argv: list[str | Path] = [python, "-m", "pip", "download", "--no-deps", "--no-input"]
        argv += ["--only-binary", ":all:", "--dest", Path(aside), requirement]
        try:
            process.run(argv, env={**os.environ, "LC_ALL": "C"}, log=log, timeout=600)
        except CommandFailed as error:
            raise MambaopsError(
                f"the headers `{requirement}` could not be fetched from the package index: "
                f"{(error.output.strip().splitlines() or [error.message])[-1]}",
                hint="`--obtain source` builds with nvcc instead",
            ) from error
        whole = Path(aside) / "whole"
        for wheel in Path(aside).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(whole)
        if not folder.exists():
            whole.replace(folder)
            return
        # another process was quicker, or a damaged one lies there
        shutil.rmtree(folder)
        whole.replace(folder)
