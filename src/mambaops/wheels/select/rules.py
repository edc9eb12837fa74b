"""Why a candidate cannot be used here: one small predicate per reason, tried in this order.

A rule returns None, or a sentence for a person that says what was found and what was wanted. Each has what
would have to change, and how hard that is (`cost`), so that the nearest misses can be named. Cautions
(`wheels.cautions`) do not refuse.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from mambaops.knowledge.cuda import cubin_runs_on, driver_runs, minor_compat_floor, ptx_runs_on
from mambaops.knowledge.releases import generation
from mambaops.knowledge.tables import version_key
from mambaops.knowledge.wheel_sources import wheel_sources
from mambaops.wheels.candidates import Candidate
from mambaops.wheels.inspect.abi import minor_key
from mambaops.wheels.machine import Machine

Check = Callable[[Candidate, Machine], str | None]
NEVER = 1000
OTHER = {"mamba-ssm": "causal-conv1d", "causal-conv1d": "mamba-ssm"}


@dataclass(frozen=True, slots=True)
class Rule:
    """`change` says what would have to be different, `cost` how hard that is (a GPU: 100)."""

    check: Check
    cost: int
    change: Callable[[Candidate, Machine], str]


def _system(c: Candidate, m: Machine) -> str | None:
    if c.system not in (m.system, "any"):
        what = "use WSL2, or build here" if m.system == "Windows" else "build here"
        return f"is for {c.system}; this is {m.system}: {what}"
    if c.machine not in (m.machine, "any"):
        return f"is for {c.machine} processors; this one is {m.machine}"
    return None


def _python(c: Candidate, m: Machine) -> str | None:
    if c.python and c.python != m.python:
        return f"is for Python {c.python}; this is {m.python}"
    if c.python and m.free_threaded:
        return f"is for the usual Python {c.python}; this one is built without the GIL"
    if c.python_min and version_key(m.python) < version_key(c.python_min):
        return (
            f"{c.package} {c.version} cannot be imported on Python {m.python}, whatever its name "
            f"says: it needs {c.python_min}"
        )
    return None


def _exists(c: Candidate, m: Machine) -> str | None:
    return f"was planned and cannot exist: {c.doubt}" if c.doubt else None


def _honest(c: Candidate, m: Machine) -> str | None:
    return f"cannot be trusted: {c.lie}" if c.lie else None


def _installer(c: Candidate, m: Machine) -> str | None:
    if c.needs == "conda" and not m.conda:
        return "is a conda package; this environment is not conda's"
    if c.needs == "conda" and not m.allow_conda:
        return f"{c.why}: taken only with --allow-conda"
    if c.needs == "transformers":
        return f"{c.why}; transformers loads it by itself where `kernels` is installed"
    return None


def _has_torch(c: Candidate, m: Machine) -> str | None:
    if c.needs:
        return None
    if m.torch is None:
        return "no torch is installed here, and a wheel fits one torch only: install torch first"
    if m.hip:
        return f"is for CUDA; torch {m.torch} here is built for ROCm {m.hip}"
    if m.cuda is None and c.cuda is not None:
        return f"is for CUDA; torch {m.torch} here is built for the CPU: install a CUDA build of it"
    return None


def _torch(c: Candidate, m: Machine) -> str | None:
    if c.needs or m.torch is None:
        return None
    if c.torch_min and minor_key(m.torch) < minor_key(c.torch_min):
        return f"{c.package} {c.version} needs torch {c.torch_min} or newer; this is {m.torch}"
    if c.torch is None:
        return _torch_by_symbols(c, m.torch)
    if m.ngc and (not c.ngc or c.torch != m.ngc) and c.built_with != m.torch:
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


def _torch_by_symbols(c: Candidate, torch: str) -> str | None:
    if c.torch_spec is None:
        return "does not say which torch it is for: look inside with `mambaops inspect-wheel`"
    if SpecifierSet(c.torch_spec).contains(Version(torch).public, prereleases=True):
        return None
    return f"its symbols are those of torch {c.torch_spec}; this is {torch}"


def is_neighbour(c: Candidate, m: Machine) -> bool:
    """Built for another torch minor that is known to work with this one."""
    return not m.nightly and (c.torch, m.torch_minor) in _neighbours()


@functools.cache
def _neighbours() -> frozenset[tuple[str, str]]:
    return frozenset((row.built, runs) for row in wheel_sources().neighbour for runs in row.runs)


def _cuda(c: Candidate, m: Machine) -> str | None:
    if c.cuda_major and m.cuda_major and c.cuda_major != m.cuda_major:
        return (
            f"links to libcudart of CUDA {c.cuda_major}; torch here is built with CUDA {m.cuda} "
            "(nvcc and the driver do not matter for this)"
        )
    return None


def _abi(c: Candidate, m: Machine) -> str | None:
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


def _generation(c: Candidate, m: Machine) -> str | None:
    other = OTHER.get(c.package)
    installed = m.packages.get(other or "")
    if not other or not installed or not c.version:
        return None
    mine, theirs = generation(c.package, c.version), generation(other, installed)
    if mine is None or theirs is None or mine == theirs:
        return None
    return (
        f"{c.package} {c.version} (generation {mine}) does not go with the installed "
        f"{other} {installed} (generation {theirs}): change both together"
    )


def _beside(c: Candidate, m: Machine) -> str | None:
    for text in c.runs_with:
        wanted = _requirement(text)
        installed = m.packages.get(wanted.name)
        if installed and not wanted.specifier.contains(installed, prereleases=True):
            return (
                f"{c.package} {c.version} cannot be imported beside {wanted.name} {installed}: "
                f"it needs {text}"
            )
    return None


@functools.cache
def _requirement(text: str) -> Requirement:
    return Requirement(text)


def _libc(c: Candidate, m: Machine) -> str | None:
    if m.system == "Linux" and m.glibc is None and c.system == "Linux" and not c.needs:
        return f"is built for glibc; {m.where} has none (musl?): build here"
    return None


def _glibc(c: Candidate, m: Machine) -> str | None:
    if not c.glibc or not m.glibc or version_key(c.glibc) <= version_key(m.glibc):
        return None
    built = f"built on {c.built_on}: " if c.built_on else ""
    return f"{built}needs GLIBC_{c.glibc}; {m.where} has {m.glibc}"


def _glibcxx(c: Candidate, m: Machine) -> str | None:
    if not c.glibcxx or not m.glibcxx or version_key(c.glibcxx) <= version_key(m.glibcxx):
        return None
    built = f"built on {c.built_on}: " if c.built_on else ""
    return f"{built}needs GLIBCXX_{c.glibcxx}; the libstdc++ here ({m.where}) has {m.glibcxx}"


def _driver(c: Candidate, m: Machine) -> str | None:
    if not c.cuda or not m.driver_cuda or driver_runs(m.driver_cuda, c.cuda):
        return None
    floor = minor_compat_floor(c.cuda)
    return (
        f"needs a driver for CUDA {c.cuda_major} ({floor} or newer); this one ({m.driver or '?'}) "
        f"runs CUDA up to {m.driver_cuda}"
    )


def _architectures(c: Candidate, m: Machine) -> str | None:
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


def _fixed(text: str) -> Callable[[Candidate, Machine], str]:
    return lambda c, m: text


# What a repair mends is kept apart: `wheels.select` tries it where nothing else stands in the way.
GLIBC = Rule(
    _glibc, 6, lambda c, m: f"a system with glibc {c.glibc} or newer, or a build made here"
)
RULES: tuple[Rule, ...] = (
    Rule(_system, 50, _fixed("a Linux machine (WSL2 on Windows) with the same processor")),
    Rule(_python, 3, lambda c, m: f"Python {_python_for(c)}"),
    Rule(_honest, NEVER, _fixed("another file")),
    Rule(_exists, NEVER, _fixed("nothing: such a wheel cannot exist")),
    Rule(_installer, 150, lambda c, m: "--allow-conda" if m.conda else "an environment of conda"),
    Rule(_has_torch, 4, lambda c, m: f"torch {c.torch or ''} for CUDA {c.cuda_major}"),
    Rule(_torch, 4, lambda c, m: f"torch {c.torch or c.torch_spec or c.torch_min}"),
    Rule(_cuda, 4, lambda c, m: f"a torch built with CUDA {c.cuda_major}"),
    Rule(_abi, 4, lambda c, m: f"a torch with the {'new' if c.cxx11_abi else 'old'} C++11 ABI"),
    Rule(_generation, 1, lambda c, m: f"a {OTHER.get(c.package)} of the same generation"),
    Rule(_beside, 1, lambda c, m: ", ".join(c.runs_with)),
    Rule(_libc, 50, _fixed("a system with glibc")),
    GLIBC,
    Rule(_glibcxx, 2, lambda c, m: f"a libstdc++ with GLIBCXX_{c.glibcxx} (conda: libstdcxx-ng)"),
    Rule(_driver, 8, lambda c, m: f"driver {minor_compat_floor(c.cuda or '')} or newer"),
    Rule(_architectures, 100, _fixed("another GPU, or a build made here for this one")),
)


def _python_for(c: Candidate) -> str:
    if c.python and c.python_min and version_key(c.python) < version_key(c.python_min):
        return f"{c.python_min} or newer"
    return c.python or c.python_min or ""


def first_refusal(c: Candidate, m: Machine) -> tuple[Rule, str] | None:
    """The first rule that speaks against it, with its reason; None when all agree."""
    for rule in RULES:
        if (reason := rule.check(c, m)) is not None:
            return rule, reason
    return None


def cost_of(c: Candidate, m: Machine, limit: int) -> int:
    """How much would have to change; past `limit` the rest is not looked at."""
    cost = 0
    for rule in RULES:
        if rule.check(c, m) is not None:
            cost += rule.cost
            if cost > limit:
                break
    return cost


def all_refusals(c: Candidate, m: Machine) -> list[tuple[Rule, str]]:
    """Every rule that speaks against it, in order."""
    return [(rule, reason) for rule in RULES if (reason := rule.check(c, m)) is not None]
