"""What several steps ask about the target environment. Pure."""

from __future__ import annotations

from mambaops.core.names import normal
from mambaops.decide.case import Case
from mambaops.decide.choice import Choice
from mambaops.facts.model import Facts
from mambaops.knowledge.tables import minor_of
from mambaops.wheels.machine import machine_of


def conda_tool(facts: Facts) -> str | None:
    """The first of micromamba, mamba and conda that the machine has (path)."""
    for name in ("micromamba", "mamba", "conda"):
        if name in facts.tools:
            return facts.tools[name].path
    return None


def glibc_of(facts: Facts) -> str | None:
    """The machine's glibc, or its distribution's; None where there is none (musl)."""
    return machine_of(facts).glibc


def same_torch(version: str, cuda: str | None, choice: Choice) -> bool:
    """Is this torch the chosen release and CUDA build?"""
    same_release = version.split("+")[0] == choice.torch
    if choice.torch_cuda is None:
        # a CUDA build runs on the CPU as well: nothing to replace
        return same_release
    return same_release and cuda is not None and minor_of(cuda) == choice.torch_cuda


def unsatisfied(case: Case, wanted: list[str]) -> list[str]:
    """Those requirements that the target environment does not satisfy."""
    if case.target is None:
        return list(wanted)
    from packaging.requirements import Requirement

    installed = case.target.distributions
    missing: list[str] = []
    for text in wanted:
        requirement = Requirement(text)
        have = installed.get(normal(requirement.name))
        if have is None or not requirement.specifier.contains(have, prereleases=True):
            missing.append(text)
    return missing
