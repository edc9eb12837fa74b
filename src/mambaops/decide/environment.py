"""The target environment and its torch. Pure."""

from __future__ import annotations

from mambaops.decide.case import Case, Verdict, blocked, done, needed
from mambaops.decide.choice import Choice
from mambaops.facts.model import Facts
from mambaops.knowledge.tables import minor_of


def create_venv(case: Case) -> Verdict:
    """The target environment, with the right Python."""
    wanted = case.choice.python
    if case.target is None:
        if case.profile.target.kind == "conda" and not conda_tool(case.facts):
            return blocked(
                f"profile `{case.profile.name}` needs a conda environment, and there is neither "
                "conda, mamba nor micromamba",
                "install micromamba or miniforge in your home (no root): "
                "https://mamba.readthedocs.io/en/latest/installation/micromamba-installation.html",
            )
        return needed(f"no environment at {case.situation.env}; Python {wanted}")
    found = minor_of(case.target.python.version)
    if found != wanted:
        return blocked(
            f"{case.situation.env} has Python {found}, wanted is {wanted}",
            f"`mambaops create-venv --profile {case.profile.name} --recreate` makes it anew",
        )
    return done(f"Python {case.target.python.version} at {case.situation.env}")


def conda_tool(facts: Facts) -> str | None:
    """The first of micromamba, mamba and conda that the machine has (path)."""
    for name in ("micromamba", "mamba", "conda"):
        if name in facts.tools:
            return facts.tools[name].path
    return None


def install_torch(case: Case) -> Verdict:
    """torch in the target environment, of the chosen release and CUDA build."""
    wanted = case.choice.torch_version
    why = case.choice.reasons.get("torch", "")
    if case.target is None or case.target.torch is None:
        return needed(f"torch {wanted}: {why}")
    found = case.target.torch
    if same_torch(found.version, found.cuda, case.choice):
        return done(f"torch {found.version} is there")
    return needed(
        f"torch {found.version} (CUDA {found.cuda or 'none'}) is there, {wanted} wanted: {why}"
    )


def same_torch(version: str, cuda: str | None, choice: Choice) -> bool:
    """Is this torch the chosen release and CUDA build?"""
    same_release = version.split("+")[0] == choice.torch
    if choice.torch_cuda is None:
        # a CUDA build runs on the CPU as well: nothing to replace
        return same_release
    return same_release and cuda is not None and minor_of(cuda) == choice.torch_cuda
