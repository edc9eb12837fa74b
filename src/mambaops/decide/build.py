"""How the packages are built for a choice, and what identifies the wheel that comes out. Pure."""

from __future__ import annotations

from mambaops.decide.choice import Choice
from mambaops.decide.situation import Flags
from mambaops.knowledge.packages import Package, Patch
from mambaops.knowledge.packages import package as package_named
from mambaops.knowledge.torch_builds import torch_row
from mambaops.patching.options import PinnedDiff, SetupOptions
from mambaops.profiles.model import PackageSpec, Profile
from mambaops.wheels.keys import BuildKey


def setup_options(package: Package, profile: Profile, choice: Choice, flags: Flags) -> SetupOptions:
    """How the setup.py of one package is to be patched for this choice."""
    row = torch_row(choice.torch)
    standard = max(package.build.cxx_standard, row.cxx_standard if row else 0)
    return SetupOptions(
        archs=choice.archs,
        route=package.architectures.route,
        ninja=profile.build.ninja if flags.ninja is None else flags.ninja,
        cxx_standard=standard or None,
        nvcc_threads=profile.build.nvcc_threads,
        split=choice.split if package.build.split else 0,
        large=tuple(package.build.split),
        diffs=tuple(_pinned(one) for one in package.patches),
    )


def _pinned(patch: Patch) -> PinnedDiff:
    return PinnedDiff(
        id=patch.id, target=patch.target, sha256=patch.sha256, diff=patch.diff, nvcc=patch.nvcc
    )


def build_key(
    package: str, spec: PackageSpec, profile: Profile, choice: Choice, flags: Flags
) -> BuildKey:
    """What identifies the wheel of one package for this choice."""
    options = setup_options(package_named(package, spec.file), profile, choice, flags)
    return BuildKey.of(
        package=package,
        version=spec.version,
        torch=choice.torch_version,
        cuda=choice.torch_cuda,
        cxx11_abi=choice.cxx11_abi,
        python="cp" + choice.python.replace(".", ""),
        platform=f"linux_{choice.machine}",
        architectures=list(choice.archs),
        patches=list(options.changes()),
        source=flags.source_ids.get(package, "") or spec.sha256 or spec.tag,
        flags=["portable"] if profile.build.portable else [],
    )
