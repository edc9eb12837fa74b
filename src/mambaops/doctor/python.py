"""Python, torch and the packages of the target environment."""

from __future__ import annotations

from collections.abc import Iterator

from mambaops.doctor.model import Check, minor, release
from mambaops.facts.model import Facts, Package
from mambaops.knowledge.releases import generation
from mambaops.knowledge.releases import release as known_release
from mambaops.knowledge.torch_builds import torch_row
from mambaops.profiles.model import Profile

BUILD_TOOLS = ("packaging", "setuptools", "wheel")
OURS = ("causal-conv1d", "mamba-ssm")


def python(facts: Facts, profile: Profile | None) -> Iterator[Check]:
    """Is the interpreter the one that the profile wants, with headers, and may it be changed?"""
    found = facts.python
    wanted = profile.target.python if profile else []
    fits = not wanted or minor(found.version) in [minor(one) for one in wanted]
    yield Check(
        area="Python",
        state="ok" if fits else "warning",
        what=f"{found.version} ({found.kind}) {found.executable}",
        cause="" if fits else f"the profile wants {', '.join(wanted)}",
        cure="" if fits else "mambaops create-venv",
    )
    if found.headers is None and facts.host.system == "Linux":
        version = minor(found.version)
        yield Check(
            area="Python",
            state="failed",
            what="no Python.h",
            cause="the extensions and triton's launcher both include it",
            cure=f"sudo apt-get install python{version}-dev   # or an interpreter that brings it: `mambaops create-venv`",
            fix=f"apt:python{version}-dev",
        )
    if found.externally_managed and not found.in_virtualenv:
        yield Check(
            area="Python",
            state="warning",
            what="the system's Python takes no packages",
            cause="pip ends in `externally-managed-environment`",
            cure="mambaops create-venv",
        )


def torch(facts: Facts, profile: Profile | None) -> Iterator[Check]:
    """Is there a CUDA torch for this machine?"""
    found = facts.torch
    if found is None:
        yield Check(
            area="torch",
            state="failed",
            what="not installed",
            cause="both packages are built against it",
            cure="mambaops install-torch",
        )
        return
    abi = {True: "C++11 ABI", False: "old C++ ABI", None: "ABI unknown"}[found.cxx11_abi]
    if found.cuda is None and found.hip is None:
        yield Check(
            area="torch",
            state="failed" if facts.gpus else "warning",
            what=f"{found.version} is a CPU build",
            cause="it leaves CUDA_HOME empty even with nvcc on PATH, and runs nothing on the GPU",
            cure="mambaops install-torch   # the CUDA build"
            if facts.gpus
            else "fine without a GPU; `mambaops install-fallback` runs the models in PyTorch",
        )
    else:
        yield Check(area="torch", state="ok", what=f"{found.version} (CUDA {found.cuda}, {abi})")
    yield from _against_profile(facts, profile)
    yield from _build_code(facts)
    yield from _glibc_of_torch(facts)


def _against_profile(facts: Facts, profile: Profile | None) -> Iterator[Check]:
    found = facts.torch
    if profile is None or found is None or not profile.torch.versions:
        return
    wanted = profile.torch.versions
    if minor(found.version) not in [minor(one) for one in wanted]:
        yield Check(
            area="torch",
            state="warning",
            what=f"the profile wants torch {' or '.join(wanted)}",
            cause=f"{found.version} is installed",
            cure=f"mambaops install-torch --profile {profile.name}",
        )


def _build_code(facts: Facts) -> Iterator[Check]:
    """setuptools that torch's own build code does not survive."""
    found = facts.torch
    tools = facts.packages.get("setuptools")
    row = torch_row(found.version) if found else None
    if row is None or tools is None or not row.setuptools_below:
        return
    if release(tools.version) >= release(row.setuptools_below):
        yield Check(
            area="torch",
            state="failed",
            what=f"setuptools {tools.version} is too new for torch {row.minor}",
            cause="its cpp_extension imports pkg_resources, which newer setuptools changed or dropped",
            cure=f"pip install 'setuptools<{row.setuptools_below}'"
            + (" 'wheel<0.46'" if release(row.setuptools_below) <= (70,) else ""),
        )


def _glibc_of_torch(facts: Facts) -> Iterator[Check]:
    row = torch_row(facts.torch.version) if facts.torch else None
    build = row.build(facts.torch.cuda) if row and facts.torch and facts.torch.cuda else None
    if build and facts.host.glibc and release(facts.host.glibc) < release(build.glibc):
        yield Check(
            area="torch",
            state="failed",
            what=f"torch {row.minor if row else ''} asks for glibc {build.glibc}, here is {facts.host.glibc}",
            cause="its wheels are not made for a system as old as this",
            cure="an older torch (`mambaops install-torch` knows which), or a container",
        )


def packages(facts: Facts, profile: Profile | None) -> Iterator[Check]:
    """The two packages: there, of one generation, not shadowed, loadable here; and the build tools."""
    have = {name: facts.packages[name] for name in OURS if name in facts.packages}
    if have:
        text = ", ".join(f"{name} {package.version}" for name, package in have.items())
        yield Check(area="packages", state="ok", what=text)
    else:
        yield Check(
            area="packages",
            state="warning",
            what="neither causal-conv1d nor mamba-ssm is installed",
            cause="nothing has been built yet",
            cure="mambaops build-mamba",
        )
    yield from _generations(have)
    for package in have.values():
        yield from _one_package(facts, package)
    yield from _transformers(facts, have)
    yield from _triton(facts)
    yield from _numpy(facts)
    yield from _tools(facts)


def _generations(have: dict[str, Package]) -> Iterator[Check]:
    if len(have) < 2:
        return
    conv, mamba = have["causal-conv1d"].version, have["mamba-ssm"].version
    letters = generation("causal-conv1d", conv), generation("mamba-ssm", mamba)
    if None not in letters and letters[0] != letters[1]:
        yield Check(
            area="packages",
            state="failed",
            what=f"causal-conv1d {conv} and mamba-ssm {mamba} do not fit each other",
            cause=f"generations {letters[0]} and {letters[1]}: `causal_conv1d_fwd(): incompatible function arguments`",
            cure="mambaops build-mamba   # a pair that fits",
        )


def _one_package(facts: Facts, package: Package) -> Iterator[Check]:
    if package.shadowed_by:
        yield Check(
            area="packages",
            state="failed",
            what=f"{package.name} is shadowed by {package.shadowed_by}",
            cause="Python imports the source folder, which holds no compiled kernels",
            cure="start Python from another folder, or rename that one",
        )
    if not package.extensions and package.name in OURS and not package.editable:
        yield Check(
            area="packages",
            state="failed",
            what=f"{package.name} {package.version} has no compiled part",
            cause="it was installed with the CUDA build skipped; the import or the first call fails",
            cure="mambaops build-mamba",
        )
    yield from _loads_here(facts, package)
    yield from _python_of(facts, package)


def _loads_here(facts: Facts, package: Package) -> Iterator[Check]:
    """Prebuilt files say `linux` and mean the system that they were built on."""
    row = known_release(package.name, package.version)
    host = facts.host.glibc
    if not (row and row.glibc and host and package.extensions):
        return
    if release(host) < release(row.glibc):
        yield Check(
            area="packages",
            state="warning",
            what=f"{package.name} {package.version}: upstream's wheels ask for glibc {row.glibc}, here is {host}",
            cause=f"`version `GLIBC_{row.glibc}' not found` at import, unless it was built here",
            cure="mambaops verify; then `mambaops repair-wheel`, a portable build (`mambaops build-mamba`), an older wheel (`mambaops select-wheel`) or a container",
        )


def _python_of(facts: Facts, package: Package) -> Iterator[Check]:
    row = known_release(package.name, package.version)
    if row and row.python_min and release(facts.python.version) < release(row.python_min):
        yield Check(
            area="packages",
            state="failed",
            what=f"{package.name} {package.version} needs Python {row.python_min}",
            cause=f"Python {facts.python.version} cannot import it, whatever its metadata says",
            cure="mambaops create-venv with a newer Python, or causal-conv1d 1.5.0.post8 with mamba-ssm up to 2.2.4",
        )


def _transformers(facts: Facts, have: dict[str, Package]) -> Iterator[Check]:
    mamba, transformers = have.get("mamba-ssm"), facts.packages.get("transformers")
    if not (mamba and transformers):
        return
    if release(mamba.version) < (2, 3) and release(transformers.version) >= (5,):
        yield Check(
            area="packages",
            state="failed",
            what=f"transformers {transformers.version} is too new for mamba-ssm {mamba.version}",
            cause="`cannot import name 'GreedySearchDecoderOnlyOutput'`",
            cure="pip install 'transformers<5', or mamba-ssm 2.3.0 or newer",
        )


def _triton(facts: Facts) -> Iterator[Check]:
    pin = facts.torch.triton_pin if facts.torch else None
    triton = facts.packages.get("triton")
    if not pin or (triton and release(triton.version)[:3] == release(pin)[:3]):
        return
    yield Check(
        area="packages",
        state="warning",
        what=f"triton {triton.version} where torch pins {pin}"
        if triton
        else f"no triton (torch pins {pin})",
        cause="another package exchanged it"
        if triton
        else "mamba-ssm's Triton kernels do not import",
        cure=f"pip install --no-deps triton=={pin}",
        fix="" if triton else "triton",
    )


def _numpy(facts: Facts) -> Iterator[Check]:
    numpy, row = (
        facts.packages.get("numpy"),
        torch_row(facts.torch.version) if facts.torch else None,
    )
    if numpy and row and row.numpy_below and release(numpy.version) >= release(row.numpy_below):
        yield Check(
            area="packages",
            state="failed",
            what=f"numpy {numpy.version} is too new for torch {row.minor}",
            cause="`A module that was compiled using NumPy 1.x cannot be run in NumPy 2`",
            cure=f"pip install 'numpy<{row.numpy_below}'",
        )


def _tools(facts: Facts) -> Iterator[Check]:
    installed = {**facts.distributions, **{n: p.version for n, p in facts.packages.items()}}
    missing = [name for name in BUILD_TOOLS if name not in installed]
    if "ninja" not in installed and "ninja" not in facts.tools:
        missing.append("ninja")
    if missing:
        yield Check(
            area="packages",
            state="warning",
            what=f"not installed: {', '.join(missing)}",
            cause="a build without isolation needs them"
            + (" (without ninja it is serial)" if "ninja" in missing else ""),
            cure="mambaops doctor --fix   # installs them into the environment",
            fix="build-tools",
        )
