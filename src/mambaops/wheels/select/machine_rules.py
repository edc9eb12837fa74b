"""Why a candidate does not run on the machine: system, Python, C library, driver, GPU. A reason, or None."""

from __future__ import annotations

from mambaops.knowledge.cuda import cubin_runs_on, driver_runs, minor_compat_floor, ptx_runs_on
from mambaops.knowledge.tables import version_key
from mambaops.wheels.candidates import Candidate
from mambaops.wheels.machine import Machine


def system(c: Candidate, m: Machine) -> str | None:
    if c.system not in (m.system, "any"):
        what = "use WSL2, or build here" if m.system == "Windows" else "build here"
        return f"is for {c.system}; this is {m.system}: {what}"
    if c.machine not in (m.machine, "any"):
        return f"is for {c.machine} processors; this one is {m.machine}"
    return None


def python(c: Candidate, m: Machine) -> str | None:
    if c.python and c.python != m.python:
        return f"is for Python {c.python}; this is {m.python}"
    if c.python and c.free_threaded != m.free_threaded:
        kinds = "without the GIL", "with the GIL, as usual"
        mine, its = kinds if m.free_threaded else kinds[::-1]
        return f"is for Python {c.python} built {its}; this one is built {mine}"
    if c.python_min and version_key(m.python) < version_key(c.python_min):
        return (
            f"{c.package} {c.version} cannot be imported on Python {m.python}, whatever its name "
            f"says: it needs {c.python_min}"
        )
    return None


def libc(c: Candidate, m: Machine) -> str | None:
    if m.system == "Linux" and m.glibc is None and c.system == "Linux" and not c.needs:
        return f"is built for glibc; {m.where} has none (musl?): build here"
    return None


def glibc(c: Candidate, m: Machine) -> str | None:
    if not c.glibc or not m.glibc or version_key(c.glibc) <= version_key(m.glibc):
        return None
    built = f"built on {c.built_on}: " if c.built_on else ""
    return f"{built}needs GLIBC_{c.glibc}; {m.where} has {m.glibc}"


def glibcxx(c: Candidate, m: Machine) -> str | None:
    if not c.glibcxx or not m.glibcxx or version_key(c.glibcxx) <= version_key(m.glibcxx):
        return None
    built = f"built on {c.built_on}: " if c.built_on else ""
    return f"{built}needs GLIBCXX_{c.glibcxx}; the libstdc++ here ({m.where}) has {m.glibcxx}"


def driver(c: Candidate, m: Machine) -> str | None:
    if not c.cuda or not m.driver_cuda or driver_runs(m.driver_cuda, c.cuda):
        return None
    floor = minor_compat_floor(c.cuda)
    newer = f" ({floor} or newer)" if floor else ""
    return (
        f"needs a driver for CUDA {c.cuda_major}{newer}; this one ({m.driver or '?'}) "
        f"runs CUDA up to {m.driver_cuda}"
    )


def architectures(c: Candidate, m: Machine) -> str | None:
    if c.cubins is None or not m.capabilities:
        return None
    if any(runs_on(c, capability) for capability in m.capabilities):
        return None
    inside = ", ".join(c.cubins) or "none"
    ptx = f" and PTX for {', '.join(c.ptx)}" if c.ptx else " and no PTX"
    return (
        f"holds machine code for {inside}{ptx}: none of it runs on {', '.join(m.capabilities)} "
        "(same major version and a minor not above it)"
    )


def runs_on(c: Candidate, capability: str) -> bool:
    """Does any of the code inside run on a GPU? (None of it known: no.)"""
    return any(cubin_runs_on(cubin, capability) for cubin in c.cubins or ()) or any(
        ptx_runs_on(ptx, capability) for ptx in c.ptx
    )
