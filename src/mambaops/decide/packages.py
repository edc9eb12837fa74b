"""Wheels that are there, found or to be built, and what they need. Pure."""

from __future__ import annotations

from mambaops.decide.case import Assess, Case, Verdict, done, needed
from mambaops.decide.choice import setup_options
from mambaops.decide.environment import same_torch
from mambaops.profiles.model import PackageSpec


def find_wheels(case: Case) -> Verdict:
    """Prebuilt wheels are looked for before anything is compiled, where the profile says so."""
    missing = [
        name
        for name, spec in case.profile.packages.items()
        if not _have(case, name, spec) and name not in case.situation.prebuilt
    ]
    if not missing:
        return done(_found_prebuilt(case))
    return needed("look for a prebuilt wheel of " + " and ".join(missing))


def _found_prebuilt(case: Case) -> str:
    if not case.situation.prebuilt:
        return "the wheels are there"
    return "; ".join(
        f"{name}: {found.name or found.reason}" for name, found in case.situation.prebuilt.items()
    )


def ways(case: Case) -> tuple[str, ...]:
    """How the packages may be obtained, in order."""
    return case.flags.obtain or tuple(case.profile.obtain)


def wants_prebuilt(case: Case) -> bool:
    """Does the order of ways put prebuilt wheels before the source build?"""
    order = ways(case)
    if case.flags.arch or case.flags.source or any("+PTX" in arch for arch in case.choice.archs):
        return False  # no prebuilt wheel is made for a list of one's own
    return "prebuilt" in order and (
        "source" not in order or order.index("prebuilt") < order.index("source")
    )


def has_prebuilt(case: Case, package: str) -> bool:
    found = case.situation.prebuilt.get(package)
    return found is not None and bool(found.url)


def _have(case: Case, package: str, spec: PackageSpec) -> bool:
    """Is there a wheel for the wanted build, or is it installed already?"""
    if package in case.situation.wheels:
        return True
    return _installed(case, package, spec)


def _installed(case: Case, package: str, spec: PackageSpec) -> bool:
    if case.target is None or case.target.torch is None:
        return False
    if not same_torch(case.target.torch.version, case.target.torch.cuda, case.choice):
        return False
    found = case.target.packages.get(package)
    return found is not None and found.version == case.wanted_version(package, spec)


def to_build(case: Case) -> list[tuple[str, PackageSpec]]:
    """The packages that have to be compiled: no wheel, not installed, none found ready-made."""
    return [
        (name, spec)
        for name, spec in case.profile.packages.items()
        if not _have(case, name, spec) and not has_prebuilt(case, name)
    ]


def fetch_sources(case: Case) -> Verdict:
    """The sources of both packages, hash-checked and unpacked."""
    missing = [
        f"{name} {spec.version}"
        for name, spec in to_build(case)
        if name not in case.situation.sources
    ]
    if missing:
        return needed(" and ".join(missing))
    return done("unpacked" if case.situation.sources else "nothing has to be built")


def patch_setup(case: Case) -> Verdict:
    """setup.py compiles exactly the wanted architectures."""
    wanted = setup_options(case.profile, case.choice, case.flags).digest()
    trees = case.situation.sources
    missing = [
        name for name, _ in to_build(case) if name not in trees or trees[name].patched != wanted
    ]
    if missing:
        archs = ";".join(case.choice.archs)
        return needed(f"setup.py of {' and '.join(missing)}: compile {archs} and nothing else")
    return done("patched" if trees else "nothing has to be built")


def build_wheel(package: str) -> Assess:
    """The assessment of building one package."""

    def assess(case: Case) -> Verdict:
        spec = dict(case.profile.packages.items())[package]
        if package in case.situation.wheels:
            return done(case.situation.wheels[package])
        if _installed(case, package, spec):
            return done(f"{case.wanted_version(package, spec)} is installed")
        if has_prebuilt(case, package):
            return done(f"not compiled: {case.situation.prebuilt[package].name} fits")
        unless = " (unless a prebuilt wheel is found)" if _still_to_look(case, package) else ""
        return needed(f"no wheel for {', '.join(case.choice.archs)} yet{unless}")

    return assess


def _still_to_look(case: Case, package: str) -> bool:
    return wants_prebuilt(case) and package not in case.situation.prebuilt


def may_find_prebuilt(case: Case) -> bool:
    """Is there a search for prebuilt wheels still to come that may make compiling unnecessary?"""
    return any(_still_to_look(case, name) for name, _ in to_build(case))


def install_wheels(case: Case) -> Verdict:
    """Both packages and what they really need, in the target environment."""
    absent = [
        name
        for name, spec in case.profile.packages.items()
        if case.choice.kernels and not _installed(case, name, spec) and not _prebuilt_in(case, name)
    ]
    lacking = missing_requirements(case)
    if absent or lacking:
        return needed(" and ".join(absent + lacking))
    return done("installed")


def _prebuilt_in(case: Case, package: str) -> bool:
    """A prebuilt wheel carries upstream's version, so its release is what can be compared."""
    if not has_prebuilt(case, package) or case.target is None:
        return False
    found = case.target.packages.get(package)
    spec = dict(case.profile.packages.items())[package]
    return found is not None and found.version.split("+")[0] == spec.version


def prepare_build(case: Case) -> Verdict:
    """What setup.py imports and runs: setuptools, wheel, packaging, ninja."""
    missing = missing_build_requirements(case)
    return needed(", ".join(missing)) if missing else done("setup.py has what it needs")


def missing_build_requirements(case: Case) -> list[str]:
    return _unsatisfied(case, case.profile.build_requirements)


def missing_requirements(case: Case) -> list[str]:
    """Requirements of the profile that the target environment does not satisfy."""
    return _unsatisfied(case, case.profile.requirements)


def _unsatisfied(case: Case, wanted: list[str]) -> list[str]:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    missing: list[str] = []
    for text in wanted:
        requirement = Requirement(text)
        installed = case.target.distributions if case.target else {}
        have = installed.get(canonicalize_name(requirement.name))
        if have is None or not requirement.specifier.contains(have, prereleases=True):
            missing.append(text)
    return missing


def verify(case: Case) -> Verdict:
    """The environment passed `verify` since it was last changed."""
    situation = case.situation
    if situation.verified and situation.verified == situation.fingerprint:
        return done("this very environment has passed")
    if situation.verified:
        return needed("the environment was changed since it passed")
    return needed("imports, binaries, and results against a reference")
