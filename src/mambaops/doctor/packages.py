"""The packages of the target environment: the CUDA packages, and what they are built and run with."""

from __future__ import annotations

from collections.abc import Iterator

from mambaops.doctor.model import Check, pip, release
from mambaops.facts.model import Facts, Package
from mambaops.knowledge.packages import packages as known_packages
from mambaops.knowledge.packages import pairs
from mambaops.knowledge.releases import generation
from mambaops.knowledge.releases import release as known_release
from mambaops.knowledge.torch_builds import torch_row
from mambaops.profiles.model import Profile

BUILD_TOOLS = ("packaging", "setuptools", "wheel")


def packages(facts: Facts, profile: Profile | None) -> Iterator[Check]:
    """The CUDA packages: there, of one generation, not shadowed, loadable here; and the build tools."""
    have = {name: facts.packages[name] for name in known_packages() if name in facts.packages}
    if have:
        text = ", ".join(f"{name} {package.version}" for name, package in have.items())
        yield Check(id="packages", area="packages", state="ok", what=text)
    wanted = list(profile.packages if profile else sorted(pairs()[0]))
    if wanted and not have.keys() & set(wanted):
        yield Check(
            id="packages-missing",
            area="packages",
            state="warning",
            what=_none_of(wanted),
            cause="nothing has been built yet",
            remedy="`mambaops build-mamba`",
        )
    yield from _generations(have)
    for package in have.values():
        yield from _one_package(facts, package)
    yield from _triton(facts)
    yield from _numpy(facts)
    yield from _tools(facts)


def _none_of(wanted: list[str]) -> str:
    """e.g. neither causal-conv1d nor mamba-ssm is installed"""
    if len(wanted) == 1:
        return f"{wanted[0]} is not installed"
    return f"{'neither' if len(wanted) == 2 else 'none of'} {' nor '.join(wanted)} is installed"


def _generations(have: dict[str, Package]) -> Iterator[Check]:
    for pair in pairs():
        if set(pair) <= set(have):
            yield from _generation(*(have[name] for name in sorted(pair)))


def _generation(first: Package, second: Package) -> Iterator[Check]:
    letters = generation(first.name, first.version), generation(second.name, second.version)
    if None not in letters and letters[0] != letters[1]:
        yield Check(
            id="generations-differ",
            area="packages",
            state="failed",
            what=f"{first.name} {first.version} and {second.name} {second.version} do not fit each other",
            cause=f"generations {letters[0]} and {letters[1]}: `incompatible function arguments` at the first call",
            remedy="`mambaops build-mamba`: a pair that fits",
        )


def _one_package(facts: Facts, package: Package) -> Iterator[Check]:
    if package.shadowed_by:
        yield Check(
            id="package-shadowed",
            area="packages",
            state="failed",
            what=f"{package.name} is shadowed by {package.shadowed_by}",
            cause="Python imports the source folder, which holds no compiled kernels",
            remedy="start Python from another folder, or rename that one",
        )
    if not package.extensions and not package.editable:
        yield Check(
            id="package-without-kernels",
            area="packages",
            state="failed",
            what=f"{package.name} {package.version} has no compiled part",
            cause="it was installed with the CUDA build skipped; the import or the first call fails",
            remedy="`mambaops build-mamba`",
        )
    yield from _loads_here(facts, package)
    yield from _python_of(facts, package)
    yield from _runs_with(facts, package)


def _loads_here(facts: Facts, package: Package) -> Iterator[Check]:
    """Prebuilt files say `linux` and mean the system that they were built on."""
    row = known_release(package.name, package.version)
    host = facts.host.glibc
    if not (row and row.glibc and host and package.extensions):
        return
    if release(host) < release(row.glibc):
        yield Check(
            id="upstream-wheel-glibc",
            area="packages",
            state="warning",
            what=f"{package.name} {package.version}: upstream's wheels ask for glibc {row.glibc}, here is {host}",
            cause=f"`version `GLIBC_{row.glibc}' not found` at import, unless it was built here",
            remedy="`mambaops verify` shows whether it loads; where it does not: a portable build (`mambaops build-mamba`), an older wheel (`mambaops find-wheels` looks for one) or a container",
        )


def _python_of(facts: Facts, package: Package) -> Iterator[Check]:
    row = known_release(package.name, package.version)
    if row and row.python_min and release(facts.python.version) < release(row.python_min):
        yield Check(
            id="package-needs-newer-python",
            area="packages",
            state="failed",
            what=f"{package.name} {package.version} needs Python {row.python_min}",
            cause=f"Python {facts.python.version} cannot import it, whatever its metadata says",
            remedy=f"an environment with a newer Python (`mambaops create-venv --python {row.python_min}`), or an older release",
        )


def _runs_with(facts: Facts, package: Package) -> Iterator[Check]:
    """Bounds that an import needs and that the package's own metadata lacks."""
    row = known_release(package.name, package.version)
    for text in row.runs_with if row else []:
        from packaging.requirements import Requirement

        requirement = Requirement(text)
        beside = facts.packages.get(requirement.name)
        if beside and not requirement.specifier.contains(beside.version, prereleases=True):
            yield Check(
                id="companion-does-not-fit",
                area="packages",
                state="failed",
                what=f"{requirement.name} {beside.version} does not go with {package.name} {package.version}",
                cause=f"its import needs {text}: `cannot import name …`",
                remedy=f"{pip(facts, text)}, or another release of {package.name}",
            )


def _triton(facts: Facts) -> Iterator[Check]:
    pin = facts.torch.triton_pin if facts.torch else None
    # nightly builds bring it under another name
    triton = facts.packages.get("triton") or facts.packages.get("pytorch-triton")
    if not pin or (triton and release(triton.version)[:3] == release(pin)[:3]):
        return
    yield Check(
        id="triton-exchanged" if triton else "triton-missing",
        area="packages",
        state="warning",
        what=f"triton {triton.version} where torch pins {pin}"
        if triton
        else f"no triton (torch pins {pin})",
        cause="another package exchanged it"
        if triton
        else "mamba-ssm's Triton kernels do not import",
        remedy=pip(facts, "--no-deps", f"triton=={pin}"),
        repair="" if triton else "triton",
    )


def _numpy(facts: Facts) -> Iterator[Check]:
    numpy, row = (
        facts.packages.get("numpy"),
        torch_row(facts.torch.version) if facts.torch else None,
    )
    if numpy and row and row.numpy_below and release(numpy.version) >= release(row.numpy_below):
        yield Check(
            id="numpy-too-new",
            area="packages",
            state="failed",
            what=f"numpy {numpy.version} is too new for torch {row.minor}",
            cause="`A module that was compiled using NumPy 1.x cannot be run in NumPy 2`",
            remedy=pip(facts, f"numpy<{row.numpy_below}"),
        )


def _tools(facts: Facts) -> Iterator[Check]:
    installed = {**facts.distributions, **{n: p.version for n, p in facts.packages.items()}}
    missing = [name for name in BUILD_TOOLS if name not in installed]
    if "ninja" not in installed and "ninja" not in facts.tools:
        missing.append("ninja")
    if missing:
        yield Check(
            id="build-tools-missing",
            area="packages",
            state="warning",
            what=f"not installed: {', '.join(missing)}",
            cause="a build without isolation needs them"
            + (" (without ninja it is serial)" if "ninja" in missing else ""),
            remedy="`mambaops doctor --fix` installs them into the environment",
            repair="build-tools",
        )
