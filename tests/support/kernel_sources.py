"""Upstream's releases, NVRTC and CCCL for the tests of kernels: fetched once per machine by pip, or the test is skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import platformdirs
import pytest

from mambaops.core.untar import untar
from mambaops.runtime.kernel_files import KernelSource

FOLDER = Path(platformdirs.user_cache_dir("mambaops-tests")) / "kernels"
NEWEST = {"mamba-ssm": "2.3.2.post1", "causal-conv1d": "1.7.0"}
# every release whose sdist holds kernel files
RELEASES = [
    *[("mamba-ssm", v) for v in ("2.2.5", "2.2.6.post3", "2.3.0", "2.3.1", "2.3.2.post1")],
    *[
        ("causal-conv1d", v)
        for v in ("1.5.1", "1.5.2", "1.5.3.post1", "1.6.0", "1.6.1", "1.6.2.post1", "1.7.0")
    ],
]
# CUDA -> (compiler, headers of CUDA)
WHEELS = {
    "11.7": ("nvidia-cuda-nvrtc-cu11==11.7.99", "nvidia-cuda-runtime-cu11==11.7.99"),
    "11.8": ("nvidia-cuda-nvrtc-cu11==11.8.89", "nvidia-cuda-runtime-cu11==11.8.89"),
    "12.1": ("nvidia-cuda-nvrtc-cu12==12.1.105", "nvidia-cuda-runtime-cu12==12.1.105"),
    "12.8": ("nvidia-cuda-nvrtc-cu12==12.8.93", "nvidia-cuda-runtime-cu12==12.8.90"),
    "13.0": ("nvidia-cuda-nvrtc==13.0.88", "nvidia-cuda-runtime==13.0.96"),
}
CCCL = {"cccl12": "nvidia-cuda-cccl-cu12==12.8.90", "cccl13": "nvidia-cuda-cccl==13.0.85"}
_NO_BUILD = {
    "MAMBA_SKIP_CUDA_BUILD": "TRUE",
    "CAUSAL_CONV1D_SKIP_CUDA_BUILD": "TRUE",
    "MAMBA_FORCE_BUILD": "TRUE",
    "CAUSAL_CONV1D_FORCE_BUILD": "TRUE",
}


def source(package: str, version: str) -> KernelSource:
    """A release, unpacked."""
    tree = FOLDER / f"{package}-{version}"
    if not tree.is_dir():
        requirement = f"{package}=={version}"
        options = ["--no-binary", ":all:", "--no-build-isolation"]
        with _fetched(requirement, options) as archive:
            aside = FOLDER / f".{package}-{version}-{os.getpid()}"
            untar(archive, aside)
        _place(next(aside.iterdir()), tree)
    return KernelSource(package=package, version=version, tree=tree, sha256="0" * 64)


def newest() -> tuple[KernelSource, ...]:
    return tuple(source(package, version) for package, version in NEWEST.items())


def nvrtc(cuda: str) -> Path:
    """A folder with NVRTC of a CUDA and its headers, for `MAMBAOPS_NVRTC`."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("the compilers' wheels are fetched for Linux x86_64 only")
    return _unpacked(f"cuda-{cuda}", WHEELS[cuda])


def cccl() -> dict[str, Path]:
    """Include folders of both CCCLs."""
    found = {}
    for name, requirement in CCCL.items():
        (header,) = _unpacked(name, (requirement,)).rglob("cub/cub.cuh")
        found[name] = header.parent.parent
    return found


def _unpacked(name: str, requirements: tuple[str, ...]) -> Path:
    target = FOLDER / name
    if target.is_dir():
        return target
    aside = FOLDER / f".{name}-{os.getpid()}"
    for requirement in requirements:
        with (
            _fetched(requirement, ["--only-binary", ":all:"]) as wheel,
            zipfile.ZipFile(wheel) as z,
        ):
            z.extractall(aside)
    return _place(aside, target)


def _place(aside: Path, target: Path) -> Path:
    try:
        aside.rename(target)
    except OSError:
        assert target.is_dir()  # another worker of the tests was faster
    return target


class _fetched:
    def __init__(self, requirement: str, options: list[str]) -> None:
        self._requirement, self._options = requirement, options

    def __enter__(self) -> Path:
        self._folder = FOLDER / f".fetch-{os.getpid()}"
        argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
        argv += [str(self._folder), *self._options, self._requirement]
        done = subprocess.run(
            argv, env={**os.environ, **_NO_BUILD}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["?"])[-1]
            pytest.skip(f"{self._requirement} cannot be fetched here: {last}")
        (found,) = self._folder.iterdir()
        return found

    def __exit__(self, *_: object) -> None:
        for path in self._folder.iterdir():
            path.unlink()
        self._folder.rmdir()


def nvcc() -> Path:
    """A folder with nvcc of CUDA 13.0 and everything that it needs, for upstream's host code."""
    names = [f"{one}==13.0.88" for one in ("nvidia-cuda-nvcc", "nvidia-nvvm", "nvidia-cuda-crt")]
    nvrtc("13.0")  # skips where wheels are for another system
    folder = _unpacked("nvcc-13.0", (*names, WHEELS["13.0"][1], CCCL["cccl13"]))
    for program in (*folder.rglob("bin/*"), *folder.rglob("nvvm/bin/*")):
        program.chmod(0o755)
    return folder


# VMamba's repository has no releases: its newest commit, and the last one with all four of its scans
VMAMBA = {
    "newest": "2ed52ead062a51a64521ed3871d52914bf532876",
    "all": "fb325963f1eff446cc6e5f0f2bfbeaa546177f89",
}


# where it was tried in vain: it is not waited for again
_UNREACHED: set[str] = set()


def vmamba(which: str) -> KernelSource:
    """The folder of VMamba's kernels at a commit, by git from where it is published."""
    if _UNREACHED:
        pytest.skip("VMamba's repository cannot be fetched here")
    commit = VMAMBA[which]
    clone = FOLDER / f"selective-scan-{commit[:12]}"
    if not clone.is_dir():
        aside = FOLDER / f".selective-scan-{os.getpid()}"
        address = "https://github.com/MzeroMiko/VMamba"
        steps = (["init", "--quiet"], ["fetch", "--quiet", "--depth=1", address, commit])
        for words in (*steps, ["checkout", "--quiet", commit, "--", "kernels", "LICENSE"]):
            aside.mkdir(parents=True, exist_ok=True)
            argv = ["git", "-C", str(aside), *words]
            try:
                subprocess.run(argv, capture_output=True, check=True, timeout=30)
            except (OSError, subprocess.SubprocessError):
                _UNREACHED.add(which)
                shutil.rmtree(aside, ignore_errors=True)
                pytest.skip("VMamba's repository cannot be fetched here")
        _place(aside, clone)
    tree = clone / "kernels/selective_scan"
    return KernelSource(package="selective-scan", version=commit[:7], tree=tree, sha256="0" * 64)
