"""How the packages may be obtained, what is there of them, and what has to be compiled. Pure."""

from __future__ import annotations

from mambaops.decide.case import Case
from mambaops.decide.environment import same_torch
from mambaops.decide.runtime import own_sources, refusal, wanted_kernels, wanted_python_part
from mambaops.decide.strategies import strategy_order
from mambaops.profiles.model import PackageSpec
from mambaops.wheels.inspect.pack import KERNELS as KERNELS


def strategies(case: Case) -> tuple[str, ...]:
    """How the packages may be obtained, in order."""
    return strategy_order(case.profile, case.flags)


def served(case: Case) -> tuple[str, ...]:
    """Packages whose kernels are compiled without nvcc, by torch's NVRTC: all that can be, or none.

    One distribution holds the modules of all of them, and would hide compiled ones.
    """
    order = strategies(case)
    names = tuple(name for name in case.packages if by_nvrtc(case, name))
    if not names or not case.choice.kernels or "runtime" not in order or refusal(case):
        return ()
    before = order[: order.index("runtime")]
    if "source" in before or all(_compiled(case, name, before) for name in names):
        return ()
    looking = [name for name in names if name not in case.situation.prebuilt]
    return () if looking and "prebuilt" in before else names


def by_nvrtc(case: Case, package: str) -> bool:
    """Do its kernels compile without nvcc: those of some packages, or of sources that were given?"""
    runtime = case.described(package).runtime
    return runtime is True or (runtime == "given" and package in own_sources(case))


def _compiled(case: Case, package: str, before: tuple[str, ...]) -> bool:
    """Is there a compiled build of it that goes before: installed, stored, or found ready-made?"""
    stored = "store" in before and package in case.situation.wheels
    ready = "prebuilt" in before and has_prebuilt(case, package)
    return stored or ready or is_installed(case, package)


def has_kernels(case: Case) -> bool:
    """Does the environment hold the very `mambaops-kernels` that is wanted?"""
    installed = case.target.distributions if case.target else {}
    return installed.get(KERNELS) == wanted_kernels(case)


def has_python_part(case: Case, package: str) -> bool:
    """Does it hold the package's Python part, of the wanted release?"""
    found = case.target.packages.get(package) if case.target else None
    return found is not None and found.version == wanted_python_part(case, package)


def wants_prebuilt(case: Case) -> bool:
    """Does the order of strategies put prebuilt wheels before the source build?"""
    order = strategies(case)
    if case.choice.named or case.flags.source or any("+PTX" in arch for arch in case.choice.archs):
        return False  # no prebuilt wheel is made for a list of one's own
    return (
        "prebuilt" in order
        and ("source" not in order or order.index("prebuilt") < order.index("source"))
        and len(served(case)) < len(case.packages)
    )


def compiles(case: Case) -> bool:
    """May anything be compiled at all?"""
    if not case.choice.kernels or "source" not in strategies(case):
        return False
    return len(served(case)) < len(case.packages)


def has_prebuilt(case: Case, package: str) -> bool:
    """Was a prebuilt wheel found that fits, and may it be taken?"""
    found = case.situation.prebuilt.get(package)
    if case.flags.wheel and "prebuilt" not in strategies(case):
        return False
    return found is not None and bool(found.url)


def prebuilt_version(case: Case, package: str) -> str:
    """The release of the prebuilt wheel that was found: the profile's, or one that does as well."""
    # e.g. causal_conv1d-1.6.1+cu12torch2.8cxx11abiTRUE-cp311-cp311-linux_x86_64.whl
    parts = case.situation.prebuilt[package].name.split("-")
    return parts[1].split("+")[0] if len(parts) > 2 else case.packages[package].version


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
    without_nvcc = served(case)
    return [
        (name, spec)
        for name, spec in case.packages.items()
        if case.concerns(name)
        and name not in without_nvcc
        and not is_there(case, name)
        and not has_prebuilt(case, name)
    ]


def still_to_look(case: Case, package: str) -> bool:
    """Is a prebuilt wheel of it still to be looked for?"""
    return wants_prebuilt(case) and package not in case.situation.prebuilt


def unobtainable(case: Case) -> list[str]:
    """Packages that are not there and that no strategy of the profile can bring any more."""
    if compiles(case):
        return []
    return [name for name, _ in to_build(case) if not still_to_look(case, name)]


def may_find_prebuilt(case: Case) -> bool:
    """Is there a search for prebuilt wheels still to come that may make compiling unnecessary?"""
    return any(still_to_look(case, name) for name, _ in to_build(case))
