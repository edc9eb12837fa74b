"""The host compiler: everything that a source build finds out about it after twenty minutes."""

from __future__ import annotations

from collections.abc import Iterator

from mambaops.core.errors import MambaopsError
from mambaops.decide.choice import Choice, decide
from mambaops.decide.situation import Flags
from mambaops.decide.toolkit import (
    GCC_ADVISED,
    compiler_floor,
    gcc_limit,
    getting_gxx,
    host_compiler,
    major,
)
from mambaops.doctor.model import Check
from mambaops.doctor.toolkits import best_toolkit, wanted_cuda
from mambaops.facts.model import Compiler, Facts
from mambaops.knowledge.torch_builds import torch_row
from mambaops.profiles.load import load_profile
from mambaops.profiles.model import Profile


def compiler(facts: Facts, profile: Profile | None) -> Iterator[Check]:
    """Is there a g++ that works, new enough for torch and old enough for nvcc?"""
    if facts.host.system == "Windows":
        yield Check(
            id="compiler-not-needed",
            area="compiler",
            state="skipped",
            what="Windows itself: builds are made in WSL",
        )
        return
    found = _by_name(facts)
    gxx = (
        host_compiler(facts)
        or found.get("g++")
        or next((c for n, c in found.items() if n.startswith("g++")), None)
    )
    if gxx is None or not gxx.works:
        yield _no_gxx(gxx, found)
        return
    bound, where = gcc_limit(best_toolkit(facts, wanted_cuda(facts, profile)))
    if bound and major(gxx.version) > bound:
        yield _above_bound(facts, gxx, bound, where)
        return
    yield from _below_torch(facts, gxx, profile, bound)
    limit = f", nvcc takes up to {bound}" if bound else ""
    yield Check(id="compiler", area="compiler", state="ok", what=f"g++ {gxx.version}{limit}")


def _by_name(facts: Facts) -> dict[str, Compiler]:
    return {one.name: one for one in reversed(facts.compilers)}


def _no_gxx(gxx: Compiler | None, found: dict[str, Compiler]) -> Check:
    broken = gxx is not None
    return Check(
        id="compiler-broken" if broken else "compiler-missing",
        area="compiler",
        state="failed",
        what=f"g++ does not work: {gxx.error or 'no reason given'}" if gxx else "no g++",
        cause="gcc is there without its C++ part (`cannot execute 'cc1plus'`)"
        if broken or "gcc" in found
        else "nvcc needs a host compiler, triton a C compiler at the first kernel call",
        remedy="`sudo apt-get install build-essential g++ python3-dev`; without root: `conda install -c conda-forge gxx_linux-64`, and for Triton alone `mambaops install-cc`",
        repair="apt:build-essential g++",
    )


def _above_bound(facts: Facts, gxx: Compiler, bound: int, where: str) -> Check:
    best = host_compiler(facts, bound, 1)
    apt = where.startswith("/usr/include/crt")
    return Check(
        id="compiler-too-new",
        area="compiler",
        state="warning" if best else "failed",
        what=f"g++ {gxx.version} is above what nvcc takes ({bound})",
        cause=f"`unsupported GNU version` from {where}" + (", apt's old headers" if apt else ""),
        remedy=f"`mambaops build-mamba` builds with {best.name}"
        if best
        else "`sudo apt-get remove nvidia-cuda-toolkit`, then `mambaops install-toolkit`"
        if apt
        else f"{getting_gxx(bound)}; or a newer CUDA of the same major (`mambaops install-toolkit`)",
    )


def _below_torch(
    facts: Facts, gxx: Compiler, profile: Profile | None, bound: int | None
) -> Iterator[Check]:
    choice = _planned(facts, profile)
    planned = choice.torch if choice else ""
    row = torch_row(facts.torch.version if facts.torch and not profile else planned)
    standard = (row.cxx_standard if row else None) or 17
    floor = compiler_floor(standard)
    need = floor or GCC_ADVISED.get(standard, 0)
    if host_compiler(facts, bound, need) is not None:
        return
    if major(gxx.version) < need:
        yield Check(
            id="compiler-too-old",
            area="compiler",
            # the plan refuses it where something is to be compiled
            state="failed" if floor and choice and choice.kernels else "warning",
            what=f"g++ {gxx.version} is below {need}",
            cause=f"the headers of torch {row.minor if row else '2.1 and later'} are C++{standard}",
            remedy=getting_gxx(need),
        )


def _planned(facts: Facts, profile: Profile | None) -> Choice | None:
    """What `mambaops plan` would choose, for `local` where no profile is named; None where nothing fits."""
    try:
        inside = facts.python.kind in ("venv", "conda")
        target = facts if inside else None
        return decide(profile or load_profile("local"), facts, Flags(), target)
    except MambaopsError:
        return None
