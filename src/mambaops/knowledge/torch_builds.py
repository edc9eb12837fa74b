"""PyTorch releases and their CUDA builds."""

from __future__ import annotations

import functools

import msgspec

from mambaops.knowledge.tables import minor_of, read, version_key


class TorchBuild(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One CUDA build of a release, as its x86_64 Linux wheel is made."""

    cuda: str  # "12.8"
    cxx11_abi: bool
    glibc: str  # oldest glibc that its wheels accept, "2.28"
    archs: list[str]  # ["7.5", …, "12.0+PTX"]
    aarch64: list[
        str
    ] = []  # the same of its aarch64 wheel; [] where there is none, or nobody looked

    def code(self, machine: str) -> list[str]:
        """Architectures inside the wheel for a machine; [] where they are not known."""
        return {"x86_64": self.archs, "aarch64": self.aarch64}.get(machine, [])


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


def as_flags(archs: list[str]) -> list[str]:
    """As torch lists them: ["8.0", "12.0+PTX"] → ["sm_80", "sm_120", "compute_120"]."""
    numbers = [(arch.removesuffix("+PTX").replace(".", ""), "+PTX" in arch) for arch in archs]
    return [f"sm_{number}" for number, _ in numbers] + [
        f"compute_{number}" for number, ptx in numbers if ptx
    ]


def release_code(version: str, cuda: str, machine: str) -> list[str]:
    """What the wheel of a torch release was compiled for, as torch lists it; [] where that is not known.

    Args:
        version: "2.8.0+cu128"; of nightlies and other people's builds nothing is known. machine: "x86_64".
    """
    row = torch_row(version)
    local = version.partition("+")[2]
    build = row.build(cuda) if row else None
    if build is None or ".dev" in version or not (local == "" or local.startswith("cu")):
        return []
    return as_flags(build.code(machine))
