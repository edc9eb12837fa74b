"""Which torch has prebuilt wheels of the packages, as far as anybody promises some. Pure."""

from __future__ import annotations

import msgspec
from packaging.specifiers import SpecifierSet

from mambaops.facts.model import Facts, Torch
from mambaops.knowledge.packages import package as package_named
from mambaops.knowledge.torch_builds import torch_row
from mambaops.profiles.model import PackageSpec, Profile
from mambaops.wheels.candidates import Candidate
from mambaops.wheels.machine import Machine, machine_of
from mambaops.wheels.select.rules import GLIBC, first_refusal
from mambaops.wheels.sources.planned import planned


def has_wheels(profile: Profile, facts: Facts, python: str, torch: str, cuda: str) -> bool:
    """Does anybody promise wheels of all packages that are published at all, for that torch on this machine?"""
    machine = _with(facts, python, torch, cuda)
    published = {
        name: spec
        for name, spec in profile.packages.items()
        if package_named(name, spec.file).wheels.published
    }
    return bool(published) and all(_has(name, spec, machine) for name, spec in published.items())


def _with(facts: Facts, python: str, torch: str, cuda: str) -> Machine:
    """The machine as it will be with that torch, and none of the packages."""
    row = torch_row(torch)
    return machine_of(
        msgspec.structs.replace(
            facts,
            python=msgspec.structs.replace(facts.python, version=python, abi_tag=""),
            torch=Torch(
                version=f"{torch}+cu{cuda.replace('.', '')}",
                path="",
                cuda=cuda,
                cxx11_abi=row.cxx11_abi.get(cuda) if row else None,
            ),
            packages={},
        )
    )


def _has(package: str, spec: PackageSpec, machine: Machine) -> bool:
    return any(
        _fits(one, machine)
        for one in planned(package)
        if one.torch == machine.torch_minor and is_meant(spec, one)
    )


def _fits(candidate: Candidate, machine: Machine) -> bool:
    """Nothing speaks against it, or nothing but what a repair supplies."""
    refusal = first_refusal(candidate, machine)
    return refusal is None or (refusal[0] is GLIBC and candidate.repairable)


def is_meant(spec: PackageSpec, candidate: Candidate) -> bool:
    """Is it the release of the profile, or one that does as well?"""
    if candidate.version == spec.version:
        return True
    return bool(spec.ready_made) and candidate.version in SpecifierSet(spec.ready_made)
