"""CUDA toolkits: their drivers, host compilers and architectures; what machine code and PTX run on."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import msgspec

from mambaops.knowledge.tables import minor_of, read, version_key

# Integrated GPUs (Jetson): machine code is shared neither with the discrete GPUs of the same major
# version nor between each other (CUDA programming guide, "Binary Compatibility"; torch's
# DEVICE_REQUIREMENT table excludes the same pairs).
TEGRA = frozenset({"5.3", "6.2", "7.2", "8.7"})


class ToolkitRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: str  # "12.1"
    driver_linux: str  # driver that comes with the toolkit, "530.30.02"; "" where it is not known
    driver_windows: str
    gcc_min: int  # major versions
    gcc_max: int
    clang_max: int
    archs: list[str]  # compute capabilities that nvcc makes machine code for, ["7.5", "8.0", …]
    wheels_on_index: bool  # the whole nvcc is to be had as Python wheels
    source: str


class Miscompiled(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Machine code that a compiler makes and that gives wrong numbers."""

    arch: str  # "10.3"
    since: str  # the first toolkit of which that was reported, "13.0"
    instead: str  # what runs there as well and is right, "10.0"
    source: str


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    toolkit: list[ToolkitRow]
    minor_compat: dict[str, str]
    variants: dict[str, dict[str, str]]
    miscompiled: list[Miscompiled]


# the first major version within which machine code runs on every driver of that major
FIRST_COMPATIBLE = 11
# drivers' branches are five apart (R610, R615); Windows numbers one branch a little higher than Linux
BRANCH = 5


@functools.cache
def _table() -> _Table:
    return read("cuda", _Table)


def toolkits() -> tuple[ToolkitRow, ...]:
    """Every toolkit that we know, oldest first."""
    return tuple(_table().toolkit)


def toolkit(version: str) -> ToolkitRow | None:
    """The toolkit of "12.1" or "12.1.66"; None for a release that the table lacks."""
    minor = minor_of(version)
    return next((row for row in toolkits() if row.version == minor), None)


def driver_floor(cuda: str, *, windows: bool = False) -> str:
    """The driver that the toolkit itself asks for, e.g. "12.1" → "530.30.02" ("" when unknown)."""
    row = toolkit(cuda)
    if row is None:
        return ""
    return row.driver_windows if windows else row.driver_linux


def minor_compat_floor(cuda: str) -> str:
    """The lowest Linux driver that runs machine code of any toolkit of this major version.

    CUDA 10 and before have no minor-version compatibility: their own driver is the floor; "" for a major version
    that came after the table.
    """
    return _table().minor_compat.get(cuda.split(".")[0], "") or driver_floor(cuda)


def driver_runs(driver_cuda: str, cuda: str) -> bool:
    """Whether a driver whose highest CUDA is `driver_cuda` runs machine code of toolkit `cuda`.

    A newer driver runs everything older; within one major version (11 and up) an older one does too.
    PTX is different: it needs `driver_cuda >= cuda`.
    """
    driver, wanted = version_key(minor_of(driver_cuda)), version_key(minor_of(cuda))
    if driver >= wanted:
        return True
    return driver[0] == wanted[0] and wanted[0] >= FIRST_COMPATIBLE


def nvcc_can_target(nvcc_version: str, arch: str) -> bool | None:
    """Whether that nvcc makes code for `arch` ("12.0", "9.0a"); None when we do not know the release."""
    row = toolkit(nvcc_version)
    if row is None:
        return None
    base = arch.rstrip("af")
    first = variant_since(arch)
    known = first is not None and version_key(row.version) >= version_key(first)
    return base in row.archs and (base == arch or known)


def variant_since(arch: str) -> str | None:
    """The first toolkit that makes code for "9.0a" or "12.0f"; None for one that no toolkit makes."""
    base, kind = arch.rstrip("af"), arch[-1]
    floors = _table().variants.get(kind, {}).items()
    fitting = [first for lowest, first in floors if version_key(lowest) <= version_key(base)]
    return max(fitting, key=version_key, default=None)


@functools.cache
def targets(oldest: str = "11.0") -> tuple[str, ...]:
    """Every compute capability that a toolkit of that release or a newer one compiles for, in ascending order."""
    rows = [row for row in toolkits() if version_key(row.version) >= version_key(oldest)]
    return tuple(sorted({arch for row in rows for arch in row.archs}, key=version_key))


def toolkit_for(build: str, archs: Sequence[str]) -> str | None:
    """The toolkit for a torch of CUDA `build` that compiles for all of `archs` ("9.0", "12.0a").

    The one of that very release where it can, else the oldest newer one of the same major version, which torch
    accepts too; None where none can. A release that the table lacks is taken as it is.
    """
    if toolkit(build) is None:
        return build
    newer = [
        row.version
        for row in toolkits()
        if row.version.split(".")[0] == build.split(".")[0]
        and version_key(row.version) >= version_key(minor_of(build))
    ]
    can = (one for one in newer if all(nvcc_can_target(one, arch) for arch in archs))
    return next(can, None)


def miscompiled(toolkit: str, arch: str) -> Miscompiled | None:
    """Does that toolkit make wrong code for an architecture ("10.3")? What is known of it."""
    release = version_key(minor_of(toolkit))
    rows = (row for row in _table().miscompiled if row.arch == arch)
    return next((row for row in rows if release >= version_key(row.since)), None)


def nearest_target(toolkit_version: str, capability: str) -> str | None:
    """What that toolkit makes which also runs on a GPU that came after it: "12.1", or PTX as "12.1+PTX".

    Machine code of the same major version where there is some, else PTX of the newest; None for a toolkit that the
    table lacks, and where nothing is older than the GPU.
    """
    row = toolkit(toolkit_version)
    known = [arch for arch in row.archs if arch not in TEGRA] if row else []
    if same := [arch for arch in known if cubin_runs_on(arch, capability)]:
        return same[-1]
    older = [arch for arch in known if ptx_runs_on(arch, capability)]
    return f"{older[-1]}+PTX" if older else None


def code_runs_on(code: Sequence[str], capability: str) -> bool:
    """Does any of torch's own code ("sm_90", "compute_120") run on a GPU of that capability?"""
    return any(_named_code_runs_on(one, capability) for one in code)


def _named_code_runs_on(name: str, capability: str) -> bool:
    kind, _, number = name.partition("_")
    digits = number.rstrip("af")
    dotted = f"{digits[:-1]}.{digits[-1:]}{number[len(digits) :]}"
    if kind == "compute":
        return ptx_runs_on(dotted, capability)
    return kind == "sm" and cubin_runs_on(dotted, capability)


def cubin_runs_on(cubin: str, capability: str) -> bool:
    """Whether machine code for `cubin` ("8.0") runs on a GPU of `capability` ("8.6").

    Same major version and a minor version not above the GPU's; "9.0a" runs on 9.0 alone, "10.0f" within
    its family; Jetson's integrated GPUs run only their own.
    """
    exact = cubin.endswith("a")
    base = cubin.rstrip("af")
    if exact or base in TEGRA or capability in TEGRA:
        return base == capability
    code, gpu = version_key(base), version_key(capability)
    return code[0] == gpu[0] and code[1] <= gpu[1]


def ptx_runs_on(ptx: str, capability: str) -> bool:
    """Whether a driver can compile PTX of `ptx` ("9.0") for a GPU of `capability` ("12.0").

    PTX is compiled forward only; "9.0a" not at all elsewhere; "10.0f" within its major version.
    The driver must be as new as the toolkit that wrote the PTX (see `driver_runs`).
    """
    base = ptx.rstrip("af")
    code, gpu = version_key(base), version_key(capability)
    if ptx.endswith("a"):
        return base == capability
    if ptx.endswith("f"):
        return code[0] == gpu[0] and code[1] <= gpu[1]
    return code <= gpu


def cuda_of_driver(version: str, *, windows: bool = False) -> str | None:
    """The highest CUDA that a driver runs, by its version, e.g. "535.104.12" → "12.2".

    None for a driver older than every toolkit of the table, or of a branch that came after it. Only the driver
    itself knows for sure: this is for machines where it cannot be asked.
    """
    driver = version_key(version)
    if driver_is_newer(version):
        return None
    fitting = [
        row.version
        for row in _with_driver()
        if driver >= version_key(row.driver_windows if windows else row.driver_linux)
        # the Windows column names one driver for all of CUDA 13: there the branch decides
        and driver[0] >= (version_key(row.driver_linux)[0] if row.version.startswith("13") else 0)
    ]
    return fitting[-1] if fitting else None


def driver_is_newer(version: str) -> bool:
    """Is a driver of a branch that came after that of the newest toolkit of the table?"""
    newest = version_key(_with_driver()[-1].driver_linux)[0]
    return version_key(version)[0] >= newest + BRANCH


def _with_driver() -> list[ToolkitRow]:
    return [row for row in toolkits() if row.driver_linux]
