"""The C++ compiler and the nvcc that a build takes. Pure."""

from __future__ import annotations

from packaging.version import Version

from mambaops.decide.case import Case
from mambaops.decide.packages import to_build
from mambaops.facts.model import Compiler, Facts, Toolkit
from mambaops.knowledge import cuda as cuda_tables
from mambaops.knowledge.torch_builds import torch_row


def cxx_standard(case: Case) -> int:
    """The C++ standard that the chosen torch's headers demand."""
    row = torch_row(case.choice.torch)
    return row.cxx_standard if row else 17


# C++ standard -> first g++ major that compiles torch's headers with it (torch's own build asks for 11.3)
GCC_FLOOR = {20: 11}
# the same, where an older one has been seen to work
GCC_ADVISED = {17: 9}


def compiler_floor(standard: int) -> int:
    """The first g++ major that compiles headers of that C++ standard; 0 where every one does."""
    return max((first for known, first in GCC_FLOOR.items() if standard >= known), default=0)


def host_compiler(facts: Facts, limit: int | None = None, floor: int = 0) -> Compiler | None:
    """The g++ to compile with: plain `g++` where it works and nvcc takes it, else the newest that it takes.

    Args:
        limit: the newest major that nvcc takes. floor: the oldest that torch's headers take.
    """
    working = [one for one in facts.compilers if one.name.startswith("g++") and one.works]
    fitting = [
        one
        for one in working
        if (limit is None or major(one.version) <= limit) and major(one.version) >= floor
    ]
    newest_first = sorted(fitting, key=lambda one: major(one.version), reverse=True)
    newest_first.sort(key=lambda one: one.name != "g++")
    return newest_first[0] if newest_first else None


def gcc_limit(toolkit: Toolkit | None) -> tuple[int | None, str]:
    """The newest g++ major that an nvcc takes, and who says so: its own header, else CUDA's documentation.

    (None, "") where nobody knows.
    """
    if toolkit is None:
        return None, ""
    if toolkit.gcc_max is not None:
        return toolkit.gcc_max, toolkit.gcc_max_source or f"{toolkit.home}'s host_config.h"
    row = cuda_tables.toolkit(toolkit.version or "")
    return (row.gcc_max, f"CUDA {toolkit.version}'s documentation") if row else (None, "")


def too_new(facts: Facts, toolkit: Toolkit | None, floor: int = 0) -> Compiler | None:
    """The g++ that is too new for an nvcc, where no other one is there that it takes."""
    limit, _ = gcc_limit(toolkit)
    if limit is None or host_compiler(facts, limit, floor) is not None:
        return None
    found = host_compiler(facts)
    return found if found and major(found.version) > limit else None


def getting_gxx(number: int) -> str:
    """How a g++ of that major comes beside the others; it is found by itself then."""
    return (
        f"`sudo apt-get install g++-{number}` (it is found by itself); "
        f"without root: `conda install -c conda-forge gxx_linux-64={number}`"
    )


def major(version: str | None) -> int:
    """The first number of a compiler's version, 0 when it is not known."""
    return int((version or "0").split(".")[0])


def fitting_toolkit(case: Case) -> tuple[Toolkit | None, list[str]]:
    """The best toolkit there is, and why each other one was refused. Same minor version first."""
    seen: dict[str, Toolkit] = {}
    for facts in (case.target, case.facts):
        for toolkit in facts.toolkits if facts is not None else []:
            seen.setdefault(toolkit.home, toolkit)
    refused: list[str] = []
    fitting: list[Toolkit] = []
    for toolkit in seen.values():
        reason = _refusal(case, toolkit)
        if reason is None:
            fitting.append(toolkit)
        else:
            refused.append(f"{toolkit.nvcc} {reason}")
    fitting.sort(key=lambda one: one.version == case.choice.toolkit, reverse=True)
    return (fitting[0] if fitting else None), refused


def cannot_compile(case: Case) -> list[str]:
    """The wanted architectures that the chosen toolkit does not know."""
    bases = [arch.removesuffix("+PTX") for arch in case.choice.archs]
    release = case.choice.toolkit
    return [one for one in bases if cuda_tables.nvcc_can_target(release, one) is False]


def _needing_torch_headers(case: Case) -> list[str]:
    return [name for name, _ in to_build(case) if case.described(name).build.torch_headers]


def _refusal(case: Case, toolkit: Toolkit) -> str | None:
    version, choice = toolkit.version, case.choice
    if version is None:
        return "does not say its version"
    if not toolkit.whole:
        return f"({version}) is not whole: {', '.join(toolkit.missing)} missing"
    if choice.torch_cuda and version.split(".")[0] != choice.torch_cuda.split(".")[0]:
        return f"is {version}, torch was built with {choice.torch_cuda}"
    if Version(version) < Version("11.6"):
        return f"is {version}, the packages ask for 11.6"
    if toolkit.missing_for_torch and (names := _needing_torch_headers(case)):
        return (
            f"({version}) lacks {', '.join(toolkit.missing_for_torch)}, which torch's CUDA headers include "
            f"and {' and '.join(names)} with them"
        )
    if "machine" not in case.profile.toolkit.routes and toolkit.source not in ("target", "conda"):
        return f"({version}) is the machine's, and the profile does not use that"
    for arch in choice.archs:
        base = arch.removesuffix("+PTX")
        if cuda_tables.nvcc_can_target(version, base) is False:
            return f"is {version} and cannot target {base}"
    return None
