"""Why a candidate does not go with the torch that is installed. Each rule: a reason, or None."""

from __future__ import annotations

import functools

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from mambaops.knowledge.cuda import code_runs_on
from mambaops.knowledge.wheel_sources import wheel_sources
from mambaops.wheels.candidates import Candidate
from mambaops.wheels.inspect.abi import minor_key
from mambaops.wheels.machine import Machine


def has_cuda_torch(c: Candidate, m: Machine) -> str | None:
    if c.needs:
        return None
    if m.torch is None:
        return "no torch is installed here, and a wheel fits one torch only: install torch first"
    if m.hip:
        return f"is for CUDA; torch {m.torch} here is built for ROCm {m.hip}"
    if m.cuda is None and c.cuda is not None:
        return f"is for CUDA; torch {m.torch} here is built for the CPU: install a CUDA build of it"
    return None


def gpu(c: Candidate, m: Machine) -> str | None:
    """A torch without code for any GPU here fails in its first kernel, whatever the wheel holds."""
    if c.needs or not m.torch_code or not m.capabilities:
        return None
    if any(code_runs_on(m.torch_code, one) for one in m.capabilities):
        return None
    return (
        f"torch {m.torch} here holds no code for a GPU of {', '.join(m.capabilities)} (it was compiled for "
        f"{', '.join(m.torch_code)}): another torch first"
    )


def torch(c: Candidate, m: Machine) -> str | None:
    if c.needs or m.torch is None:
        return None
    if c.torch_min and minor_key(m.torch) < minor_key(c.torch_min):
        return f"{c.package} {c.version} needs torch {c.torch_min} or newer; this is {m.torch}"
    if c.torch is None:
        return _by_symbols(c, m.torch)
    if m.ngc and c.torch != m.ngc and c.built_with != m.torch:
        return (
            f"is for torch {c.torch}; this is NVIDIA's own build of image {m.ngc}, which only "
            "wheels named after that image fit"
        )
    if c.ngc and not m.ngc:
        return f"is for NVIDIA's image {c.torch}; torch here is {m.torch}"
    if m.nightly and c.built_with != m.torch:
        return (
            f"is for torch {c.torch}; this is the nightly {m.torch}, whose C++ interface changes "
            "from day to day: build here"
        )
    if not c.ngc and c.torch != m.torch_minor and not is_neighbour(c, m):
        return f"is for torch {c.torch}; this is {m.torch}"
    return None


def _by_symbols(c: Candidate, torch: str) -> str | None:
    if c.torch_spec is None:
        return "does not say which torch it is for: look inside (`mambaops --help inspect-wheel`)"
    if SpecifierSet(c.torch_spec).contains(Version(torch).public, prereleases=True):
        return None
    return f"its symbols are those of torch {c.torch_spec}; this is {torch}"


def is_neighbour(c: Candidate, m: Machine) -> bool:
    """Built for another torch minor that is known to work with this one."""
    return not m.nightly and (c.torch, m.torch_minor) in _neighbours()


@functools.cache
def _neighbours() -> frozenset[tuple[str, str]]:
    return frozenset((row.built, runs) for row in wheel_sources().neighbour for runs in row.runs)


def cuda(c: Candidate, m: Machine) -> str | None:
    if c.cuda_major and m.cuda_major and c.cuda_major != m.cuda_major:
        return (
            f"links to libcudart of CUDA {c.cuda_major}; torch here is built with CUDA {m.cuda} "
            "(nvcc and the driver do not matter for this)"
        )
    return None


def abi(c: Candidate, m: Machine) -> str | None:
    if c.cxx11_abi is None or m.cxx11_abi is None or c.cxx11_abi == m.cxx11_abi:
        return None
    if c.named_abi is not None and c.named_abi != c.cxx11_abi:
        return (
            f"says cxx11abi{str(c.named_abi).upper()} and is not: it was built with a torch whose "
            f"ABI is already new, and torch {m.torch} here uses the old one"
        )
    mine = "new (TRUE)" if m.cxx11_abi else "old (FALSE)"
    return (
        f"uses the {'new' if c.cxx11_abi else 'old'} C++11 ABI; torch {m.torch} here uses the {mine}: "
        "undefined symbols at import"
    )
