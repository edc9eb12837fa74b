"""Kernels that are compiled by NVRTC when they are first used: may they be, and what is installed for them. Pure."""

from __future__ import annotations

import re

from mambaops.decide.case import Case
from mambaops.knowledge.cuda import nvcc_can_target
from mambaops.knowledge.tables import version_key
from mambaops.runtime.identity import distribution_version

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
    special = [arch for arch in choice.archs if not re.fullmatch(r"\d+\.\d", arch)]
    if special:
        return f"{', '.join(special)} is asked for, and they are compiled to plain machine code"
    strange = [arch for arch in choice.archs if nvcc_can_target(cuda, arch) is False]
    if strange:
        return f"the NVRTC of torch's CUDA {cuda} makes no code for {', '.join(strange)}"
    return ""


def packed(case: Case) -> tuple[str, ...]:
    """Architectures whose kernels are compiled beforehand: those that no GPU here would ask for.

    Where the GPU is at hand, the few kernels that a model uses are compiled when it first uses them.
    """
    here = {gpu.compute_capability for gpu in case.facts.gpus}
    return tuple(arch for arch in case.choice.archs if arch not in here)


def wanted_kernels(case: Case) -> str:
    """The version of `mambaops-kernels` that the environment is to hold."""
    sources = {name: case.flags.source_ids.get(name, "") for name in case.packages}
    own = {name: digest for name, digest in sources.items() if digest}
    return distribution_version(own, case.choice.torch_cuda or "", packed(case))


def wanted_python_part(case: Case, package: str) -> str:
    """The version that a package carries whose Python part alone is installed."""
    return f"{case.packages[package].version}+{LOCAL}"
