"""Kernels that are compiled by NVRTC when they are first used: may they be, and what is installed for them. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

from mambaops.decide.case import Case
from mambaops.decide.situation import StoredPack
from mambaops.knowledge.cuda import cubin_runs_on, nvcc_can_target
from mambaops.knowledge.tables import version_key
from mambaops.runtime.identity import distribution_version
from mambaops.runtime.selection import USUAL
from mambaops.wheels.inspect.pack import KERNELS

# the oldest NVRTC that compiles the kernels
OLDEST_CUDA = "11.7"
# local version of the packages whose Python part alone is installed
LOCAL = "runtime"


def refusal(case: Case) -> str:
    """Why the kernels cannot be compiled by torch's NVRTC for this choice, "" where they can."""
    choice, cuda = case.choice, case.choice.torch_cuda
    if tried := case.situation.refused.get("runtime"):
        return tried
    if cuda is None or version_key(cuda) < version_key(OLDEST_CUDA):
        return f"torch's CUDA is {cuda or 'none'}, and they compile with {OLDEST_CUDA} and newer"
    # PTX and code for one chip alone are asked for to be in a wheel
    asked = [arch for arch in choice.archs if arch not in choice.instead]
    special = [arch for arch in asked if not re.fullmatch(r"\d+\.\d", arch)]
    if special:
        return f"{', '.join(special)} is asked for, and they are compiled to plain machine code"
    strange = [arch for arch in asked if nvcc_can_target(cuda, arch) is False]
    if strange:
        return f"the NVRTC of torch's CUDA {cuda} makes no code for {', '.join(strange)}"
    return ""


def packed(case: Case) -> tuple[str, ...]:
    """Architectures whose kernels are compiled beforehand: those that no GPU here would ask for.

    Where the GPU is at hand, the few kernels that a model uses are compiled when it first uses them.
    """
    here = {gpu.compute_capability for gpu in case.facts.gpus}
    instead = case.choice.instead
    return tuple(arch for arch in case.choice.archs if instead.get(arch, arch) not in here)


def stored_pack(case: Case) -> StoredPack | None:
    """The stored pack that is installed: it holds what would be compiled beforehand, for every architecture.

    Where the GPU is at hand it spares the first use of every kernel.
    """
    installed = case.target.distributions.get(KERNELS) if case.target else None
    if not case.choice.archs or installed == _own_version(case):
        return None
    fitting = [one for one in case.situation.packs if _fits(case, one)]
    # what is there already stays, else the smallest
    fitting.sort(key=lambda one: (one.version != installed, len(one.archs), one.version))
    return fitting[0] if fitting else None


def _fits(case: Case, pack: StoredPack) -> bool:
    return USUAL.serves(pack.selection) and serves(
        pack.cuda, pack.archs, case.choice.torch_cuda or "0", case.choice.archs
    )


def serves(cuda: str, archs: Collection[str], torch_cuda: str, wanted: Collection[str]) -> bool:
    """Does machine code of `cuda` for `archs` run with a torch of `torch_cuda` on each GPU of `wanted`?"""
    # a driver that torch's CUDA runs with takes machine code of an older major, and of its own
    return int(cuda.split(".")[0]) <= int(torch_cuda.split(".")[0]) and all(
        any(cubin_runs_on(one, arch) for one in archs) for arch in wanted
    )


def wanted_kernels(case: Case) -> str:
    """The version of `mambaops-kernels` that the environment is to hold."""
    pack = stored_pack(case)
    return pack.version if pack else _own_version(case)


def own_sources(case: Case) -> dict[str, str]:
    """Package -> digest of the sources that the person gave."""
    sources = {name: case.flags.source_ids.get(name, "") for name in case.packages}
    return {name: digest for name, digest in sources.items() if digest}


def _own_version(case: Case) -> str:
    """Of what is compiled in this environment."""
    return distribution_version(own_sources(case), case.choice.torch_cuda or "", packed(case))


def wanted_python_part(case: Case, package: str) -> str:
    """The version that a package carries whose Python part alone is installed."""
    return f"{case.packages[package].version}+{LOCAL}"
