"""PyTorch releases and their CUDA builds, and which of them fits a driver, a Python and a GPU."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from mambaops.knowledge.cuda import cubin_runs_on, driver_runs, ptx_runs_on
from mambaops.knowledge.tables import minor_of, read, version_key


class TorchBuild(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One CUDA build of a release, as its x86_64 Linux wheel is made."""

    cuda: str  # "12.8"
    cxx11_abi: bool
    glibc: str  # oldest glibc that its wheels accept, "2.28"
    archs: list[str]  # ["7.5", …, "12.0+PTX"]


class TorchRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    minor: str  # "2.8"
    patch: str  # the newest patch release that we know, "2.8.0"
    python: list[str]  # versions that have wheels
    python_experimental: list[str]  # those of them that upstream calls experimental
    cxx_standard: int  # C++ standard that its headers demand: 14, 17 or 20
    default_cuda: str  # what the Python index serves
    triton: str  # the triton release it pins, "" when none
    setuptools_below: str  # first setuptools that breaks its cpp_extension, "" when none is known
    numpy_below: str
    source: str
    builds: list[TorchBuild]

    @property
    def cuda(self) -> list[str]:
        """CUDA versions that it was built with, ascending."""
        return [build.cuda for build in self.builds]

    @property
    def cxx11_abi(self) -> dict[str, bool]:
        """CUDA version → whether that build uses the C++11 ABI."""
        return {build.cuda: build.cxx11_abi for build in self.builds}

    @property
    def archs(self) -> dict[str, list[str]]:
        """CUDA version → architectures inside that build."""
        return {build.cuda: build.archs for build in self.builds}

    @property
    def glibc(self) -> str:
        """The oldest glibc that any build of it accepts; a build may ask more."""
        return min((build.glibc for build in self.builds), key=version_key)

    def build(self, cuda: str) -> TorchBuild | None:
        """The build for "12.8" or "12.8.1"; None when there is none."""
        return next((build for build in self.builds if build.cuda == minor_of(cuda)), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class TorchChoice:
    """One candidate with the reason why it fits or does not."""

    version: str  # "2.8.0"
    cuda: str  # "12.8"
    accepted: bool
    reason: str


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    torch: list[TorchRow]


@functools.cache
def torch_rows() -> tuple[TorchRow, ...]:
    """Every release that we know, oldest first."""
    return tuple(read("torch_builds", _Table).torch)


def torch_row(version: str) -> TorchRow | None:
    """The row of "2.8", "2.8.0", "2.8.0+cu128" or "2.8.0.dev20250501"; None when unknown."""
    minor = minor_of(version)
    return next((row for row in torch_rows() if row.minor == minor), None)


def newest_torch_for(
    driver_cuda: str | None,
    python: str,
    capability: str | None,
    allowed: Sequence[str] | None = None,
) -> list[TorchChoice]:
    """Every known pair of release and CUDA build: those that fit first, best first, then the refused.

    Args:
        driver_cuda: the most that the driver runs; None: there is no driver to respect (cross builds).
        python: "3.11" or "3.11.7".
        capability: of the GPU, "8.0"; None: do not look at architectures.
        allowed: releases that may be taken: "2.8", "2.8.0" or specifiers such as ">=2.4,<2.9"; None: all.
    """
    choices = [
        (row, _judge(row, build, driver_cuda, minor_of(python), capability, allowed))
        for row in torch_rows()
        for build in row.builds
    ]
    choices.sort(key=lambda pair: _rank(pair[0], pair[1], driver_cuda), reverse=True)
    return [choice for _, choice in choices]


def _rank(
    row: TorchRow, choice: TorchChoice, driver_cuda: str | None
) -> tuple[bool, tuple[int, ...], bool, bool, tuple[int, ...]]:
    """Newest release first; in it builds that the driver knows fully, its default first, then the newest.

    Builds above the driver's own CUDA rank last: their PTX does not run there.
    """
    cuda = version_key(choice.cuda)
    full = driver_cuda is None or cuda <= version_key(minor_of(driver_cuda))
    nearest = cuda if full else tuple(-part for part in cuda)
    return (
        choice.accepted,
        version_key(choice.version),
        full,
        full and choice.cuda == row.default_cuda,
        nearest,
    )


def _judge(
    row: TorchRow,
    build: TorchBuild,
    driver_cuda: str | None,
    python: str,
    capability: str | None,
    allowed: Sequence[str] | None,
) -> TorchChoice:
    version = _release_asked_for(row, allowed)
    refusal = (
        ("" if version else f"not among the releases asked for ({', '.join(allowed or [])})")
        or _refused_by_python(row, python)
        or _refused_by_driver(build, driver_cuda)
        or _refused_by_gpu(build, driver_cuda, capability)
    )
    return TorchChoice(
        version=version or row.patch,
        cuda=build.cuda,
        accepted=not refusal,
        reason=refusal or _praise(row, build, driver_cuda, python, capability),
    )


def _release_asked_for(row: TorchRow, allowed: Sequence[str] | None) -> str:
    """The patch release of this row that is wanted: the newest, or the one named ("" when none is)."""
    if allowed is None:
        return row.patch
    return next((found for text in allowed if (found := _release_named(text, row))), "")


def _release_named(text: str, row: TorchRow) -> str:
    """The release that "2.8", "2.8.1", "2.8.1+cu128" or ">=2.4,<2.9" means in this row, "" for none."""
    bare = text.split("+")[0].strip()
    if bare[:1].isdigit():
        if minor_of(bare) != row.minor:
            return ""
        return row.patch if bare == row.minor else bare
    try:
        fits = SpecifierSet(bare)
    except InvalidSpecifier:
        return ""
    return next((version for version in (row.patch, f"{row.minor}.0") if version in fits), "")


def _refused_by_python(row: TorchRow, python: str) -> str:
    if python in row.python:
        return ""
    return (
        f"torch {row.minor} has wheels for Python {row.python[0]} to {row.python[-1]}, not {python}"
    )


def _refused_by_driver(build: TorchBuild, driver_cuda: str | None) -> str:
    if driver_cuda is None or driver_runs(driver_cuda, build.cuda):
        return ""
    return f"the driver runs CUDA up to {driver_cuda}, this build needs {build.cuda}"


def _refused_by_gpu(build: TorchBuild, driver_cuda: str | None, capability: str | None) -> str:
    if capability is None or any(
        cubin_runs_on(arch.removesuffix("+PTX"), capability) for arch in build.archs
    ):
        return ""
    ptx = [arch.removesuffix("+PTX") for arch in build.archs if arch.endswith("+PTX")]
    if not any(ptx_runs_on(arch, capability) for arch in ptx):
        return f"holds machine code for {', '.join(build.archs)}: nothing runs on {capability}"
    if driver_cuda and version_key(minor_of(driver_cuda)) < version_key(build.cuda):
        return (
            f"only its PTX would run on {capability}, and a driver for CUDA {driver_cuda} cannot "
            f"compile PTX of CUDA {build.cuda}"
        )
    return ""


def _praise(
    row: TorchRow, build: TorchBuild, driver_cuda: str | None, python: str, capability: str | None
) -> str:
    parts = [f"Python {python}" + (" (experimental)" if python in row.python_experimental else "")]
    if driver_cuda is None:
        parts.append("no driver to respect")
    elif version_key(minor_of(driver_cuda)) >= version_key(build.cuda):
        parts.append(f"the driver runs CUDA {driver_cuda}")
    else:
        parts.append(f"a driver for CUDA {driver_cuda} runs its machine code, not its PTX")
    if capability is not None:
        parts.append(f"covers {capability}")
    return "; ".join(parts)
