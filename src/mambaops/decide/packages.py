"""How the packages may be obtained, what is there of them, and what has to be compiled. Pure."""

from __future__ import annotations

from mambaops.decide.case import Case
from mambaops.decide.environment import same_torch
from mambaops.profiles.model import PackageSpec


def strategies(case: Case) -> tuple[str, ...]:
    """How the packages may be obtained, in order."""
    return case.flags.obtain or tuple(case.profile.obtain)


def wants_prebuilt(case: Case) -> bool:
    """Does the order of strategies put prebuilt wheels before the source build?"""
    order = strategies(case)
    if case.choice.named or case.flags.source or any("+PTX" in arch for arch in case.choice.archs):
        return False  # no prebuilt wheel is made for a list of one's own
    return "prebuilt" in order and (
        "source" not in order or order.index("prebuilt") < order.index("source")
    )


def compiles(case: Case) -> bool:
    """May anything be compiled at all?"""
    return case.choice.kernels and "source" in strategies(case)


def has_prebuilt(case: Case, package: str) -> bool:
    """Was a prebuilt wheel found that fits, and may it be taken?"""
    found = case.situation.prebuilt.get(package)
    if case.flags.wheel and "prebuilt" not in strategies(case):
        return False
    return found is not None and bool(found.url)


def is_installed(case: Case, package: str) -> bool:
    """Is the very build that is wanted in the target environment, beside the right torch?"""
    if case.target is None or case.target.torch is None:
        return False
    if not same_torch(case.target.torch.version, case.target.torch.cuda, case.choice):
        return False
    found = case.target.packages.get(package)
    return found is not None and found.version == case.wanted_version(package)


def is_there(case: Case, package: str) -> bool:
    """Is there a wheel for the wanted build, or is it installed already, which does where no wheel is asked for?"""
    if package in case.situation.wheels:
        return True
    return not case.flags.wheel and is_installed(case, package)


def to_build(case: Case) -> list[tuple[str, PackageSpec]]:
    """The packages of the run that have to be compiled: no wheel, not installed, none found ready-made."""
    return [
        (name, spec)
        for name, spec in case.packages.items()
        if case.concerns(name) and not is_there(case, name) and not has_prebuilt(case, name)
    ]


def still_to_look(case: Case, package: str) -> bool:
    """Is a prebuilt wheel of it still to be looked for?"""
    return wants_prebuilt(case) and package not in case.situation.prebuilt


def may_find_prebuilt(case: Case) -> bool:
    """Is there a search for prebuilt wheels still to come that may make compiling unnecessary?"""
    return any(still_to_look(case, name) for name, _ in to_build(case))
