"""Python and torch of the target environment."""

from __future__ import annotations

from collections.abc import Iterator

from mambaops.doctor.model import Check, minor, pip, release
from mambaops.facts.model import Facts, Torch
from mambaops.knowledge.torch_builds import torch_row
from mambaops.profiles.model import Profile


def python(facts: Facts, profile: Profile | None) -> Iterator[Check]:
    """Is the interpreter the one that the profile wants, with headers, and may it be changed?"""
    found = facts.python
    wanted = profile.target.python if profile else []
    fits = not wanted or minor(found.version) in [minor(one) for one in wanted]
    yield Check(
        id="python" if fits else "python-of-other-version",
        area="Python",
        state="ok" if fits else "warning",
        what=f"{found.version} ({found.kind}) {found.executable}",
        cause="" if fits else f"the profile wants {', '.join(wanted)}",
        remedy="" if fits else "`mambaops create-venv`",
    )
    if found.headers is None and facts.host.system == "Linux":
        version = minor(found.version)
        yield Check(
            id="python-headers-missing",
            area="Python",
            state="failed",
            what="no Python.h",
            cause="the extensions and triton's launcher both include it",
            remedy=f"`sudo apt-get install python{version}-dev`; without root: `mambaops install-headers`, for Triton `mambaops install-cc`, or an interpreter that brings it: `mambaops create-venv`",
            repair=f"apt:python{version}-dev",
        )
    if found.externally_managed and not found.in_virtualenv:
        yield Check(
            id="python-externally-managed",
            area="Python",
            state="warning",
            what="the system's Python takes no packages",
            cause="pip ends in `externally-managed-environment`",
            remedy="`mambaops create-venv`",
        )


def torch(facts: Facts, profile: Profile | None) -> Iterator[Check]:
    """Is there a CUDA torch for this machine?"""
    found = facts.torch
    if found is None:
        yield Check(
            id="torch-missing",
            area="torch",
            state="failed",
            what="not installed",
            cause="both packages are built against it",
            remedy="`mambaops install-torch`",
        )
        return
    abi = {True: "C++11 ABI", False: "old C++ ABI", None: "ABI unknown"}[found.cxx11_abi]
    if found.cuda is None and found.hip is None:
        yield Check(
            id="torch-cpu-build",
            area="torch",
            state="failed" if facts.gpus else "warning",
            what=f"{found.version} is a CPU build",
            cause="it leaves CUDA_HOME empty even with nvcc on PATH, and runs nothing on the GPU",
            remedy="`mambaops install-torch`: the CUDA build"
            if facts.gpus
            else "fine without a GPU; `mambaops install-fallback` runs the models in PyTorch",
        )
    else:
        yield Check(
            id="torch", area="torch", state="ok", what=f"{found.version} (CUDA {found.cuda}, {abi})"
        )
    if profile is not None:
        yield from _against_profile(found, profile)
    yield from _build_code(facts)
    yield from _glibc_of_torch(facts)


def _against_profile(found: Torch, profile: Profile) -> Iterator[Check]:
    wanted = profile.torch.versions
    if minor(found.version) not in [minor(one) for one in wanted]:
        yield Check(
            id="torch-of-other-version",
            area="torch",
            state="warning",
            what=f"the profile wants torch {' or '.join(wanted)}",
            cause=f"{found.version} is installed",
            remedy="`mambaops install-torch`",
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
            id="setuptools-too-new",
            area="torch",
            state="failed",
            what=f"setuptools {tools.version} is too new for torch {row.minor}",
            cause="its cpp_extension imports pkg_resources, which newer setuptools changed or dropped",
            remedy=pip(
                facts,
                f"setuptools<{row.setuptools_below}",
                *(["wheel<0.46"] if release(row.setuptools_below) <= (70,) else []),
            ),
        )


def _glibc_of_torch(facts: Facts) -> Iterator[Check]:
    row = torch_row(facts.torch.version) if facts.torch else None
    build = row.build(facts.torch.cuda) if row and facts.torch and facts.torch.cuda else None
    if build and facts.host.glibc and release(facts.host.glibc) < release(build.glibc):
        yield Check(
            id="torch-needs-newer-glibc",
            area="torch",
            state="failed",
            what=f"torch {row.minor if row else ''} asks for glibc {build.glibc}, here is {facts.host.glibc}",
            cause="its wheels are not made for a system as old as this",
            remedy="an older torch (`mambaops install-torch` knows which), or a container",
        )
