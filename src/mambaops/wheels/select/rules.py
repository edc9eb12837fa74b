"""Why a candidate cannot be used here: one small predicate per reason, tried in this order.

A rule returns None, or a sentence for a person that says what was found and what was wanted. Each has what
would have to change, and how hard that is (`cost`), so that the nearest misses can be named. Warnings
(`wheels.select.warnings`) do not refuse.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from packaging.requirements import Requirement

from mambaops.knowledge.cuda import minor_compat_floor
from mambaops.knowledge.packages import partner
from mambaops.knowledge.releases import generation
from mambaops.knowledge.tables import version_key
from mambaops.wheels.candidates import Candidate
from mambaops.wheels.machine import Machine
from mambaops.wheels.select import machine_rules, torch_rules

Check = Callable[[Candidate, Machine], str | None]
NEVER = 1000


@dataclass(frozen=True, slots=True)
class Rule:
    """`change` says what would have to be different, `cost` how hard that is (a GPU: 100)."""

    name: str
    check: Check
    cost: int
    change: Callable[[Candidate, Machine], str]


def _possible(c: Candidate, m: Machine) -> str | None:
    return f"was planned and cannot exist: {c.impossible}" if c.impossible else None


def _usable(c: Candidate, m: Machine) -> str | None:
    return f"cannot be used: {c.unusable}" if c.unusable else None


def _other_installer(c: Candidate, m: Machine) -> str | None:
    if c.needs == "conda" and not m.conda:
        return "is a conda package; this environment is not conda's"
    if c.needs == "conda" and not m.allow_conda:
        return f"{c.why}: taken only with --allow-conda"
    if c.needs == "transformers":
        return f"{c.why}; transformers loads it by itself where `kernels` is installed"
    return None


def _generation(c: Candidate, m: Machine) -> str | None:
    other = partner(c.package)
    installed = m.packages.get(other) if other else None
    if other is None or installed is None:
        return None
    mine, theirs = generation(c.package, c.version), generation(other, installed)
    if mine is None or theirs is None or mine == theirs:
        return None
    return (
        f"{c.package} {c.version} (generation {mine}) does not go with the installed "
        f"{other} {installed} (generation {theirs}): change both together"
    )


def _runs_with(c: Candidate, m: Machine) -> str | None:
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


def _fixed(text: str) -> Callable[[Candidate, Machine], str]:
    return lambda c, m: text


# What a repair supplies is kept apart: `wheels.select` tries it where nothing else stands in the way.
GLIBC = Rule(
    "glibc",
    machine_rules.glibc,
    6,
    lambda c, m: f"a system with glibc {c.glibc} or newer, or a build made here",
)
RULES: tuple[Rule, ...] = (
    Rule(
        "system",
        machine_rules.system,
        50,
        _fixed("a Linux machine (WSL2 on Windows) with the same processor"),
    ),
    Rule("python", machine_rules.python, 3, lambda c, m: f"Python {_python_for(c)}"),
    Rule("usable", _usable, NEVER, _fixed("another file")),
    Rule("possible", _possible, NEVER, _fixed("nothing: such a wheel cannot exist")),
    Rule(
        "installer",
        _other_installer,
        150,
        lambda c, m: "--allow-conda" if m.conda else "an environment of conda",
    ),
    Rule(
        "cuda torch",
        torch_rules.has_cuda_torch,
        4,
        lambda c, m: f"torch {c.torch or ''} for CUDA {c.cuda_major}",
    ),
    Rule(
        "torch gpu",
        torch_rules.gpu,
        4,
        lambda c, m: f"a torch that was compiled for {', '.join(m.capabilities)}",
    ),
    Rule(
        "torch",
        torch_rules.torch,
        4,
        lambda c, m: f"torch {c.torch or c.torch_spec or c.torch_min}",
    ),
    Rule("cuda", torch_rules.cuda, 4, lambda c, m: f"a torch built with CUDA {c.cuda_major}"),
    Rule(
        "abi",
        torch_rules.abi,
        4,
        lambda c, m: f"a torch with the {'new' if c.cxx11_abi else 'old'} C++11 ABI",
    ),
    Rule(
        "generation",
        _generation,
        1,
        lambda c, m: f"a {partner(c.package)} of the same generation",
    ),
    Rule("runs with", _runs_with, 1, lambda c, m: ", ".join(c.runs_with)),
    Rule("libc", machine_rules.libc, 50, _fixed("a system with glibc")),
    GLIBC,
    Rule(
        "glibcxx",
        machine_rules.glibcxx,
        2,
        lambda c, m: f"a libstdc++ with GLIBCXX_{c.glibcxx} (conda: libstdcxx-ng)",
    ),
    Rule(
        "driver",
        machine_rules.driver,
        8,
        lambda c, m: f"driver {minor_compat_floor(c.cuda or '') or f'for CUDA {c.cuda}'} or newer",
    ),
    Rule(
        "architectures",
        machine_rules.architectures,
        100,
        _fixed("another GPU, or a build made here for this one"),
    ),
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
