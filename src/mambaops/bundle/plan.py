"""From a profile and the facts of the other machine to what its bundle must hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from mambaops.bundle.model import BundleSpec
from mambaops.bundle.without_nvcc import wheels as without_nvcc_wheels
from mambaops.core.errors import MachineError, MambaopsError
from mambaops.decide.build import build_key
from mambaops.decide.case import Case
from mambaops.decide.packages import served, strategies
from mambaops.decide.torch import companions
from mambaops.facts.model import Facts, Torch
from mambaops.profiles.model import PackageSpec

Say = Callable[[str], None]
MOST_TRIES = 3


@dataclass(kw_only=True)
class _Packages:
    """The packages: wheels to carry, or sources to compile there."""

    wheels: list[Path] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)


def spec_for(
    case: Case, *, with_toolkit: bool, models: Sequence[str], say: Say, index: bool | None = None
) -> BundleSpec:
    """What the bundle of a case holds.

    Args:
        with_toolkit: carry nvcc and what a build needs as well, and sources where there is no wheel.
        index: look at PyTorch's own index; None: only if it answers.

    Raises:
        MachineError: a package has no wheel for that machine, and sources were not asked for.
    """
    profile, choice, host = case.profile, case.choice, case.facts.host
    if profile.target.kind == "conda":
        say(
            "the profile's environment is made by conda; the bundle makes a virtual environment instead"
        )
    packages = _packages(case, with_toolkit, say) if choice.kernels else _Packages()
    torch, indexes = _torch(case, index, say)
    # triton of torch 2.2 to 2.5 imports setuptools and requires it nowhere
    requirements = [torch, *case.requirements, "pip", "setuptools"]
    requirements += companions(profile, choice.torch, choice.torch_cuda)
    if with_toolkit:
        requirements += _toolkit(case, say)
    return BundleSpec(
        name=profile.name,
        python=choice.python,
        machine=choice.machine,
        glibc=host.glibc or "",
        torch=choice.torch_version,
        requirements=requirements,
        constraints=list(profile.constraints),
        wheels=packages.wheels,
        sources=packages.sources,
        indexes=indexes,
        find_links=list(profile.find_links),
        prerelease=profile.torch.channel == "nightly",
        models=list(models),
        imports=["torch", *packages.modules],
        runtime_env=dict(profile.runtime_env),
    )


def _torch(case: Case, index: bool | None, say: Say) -> tuple[str, list[str]]:
    """(requirement, indexes to look at besides the configured one)."""
    from mambaops.knowledge.addresses import torch_index
    from mambaops.knowledge.torch_builds import torch_row

    choice = case.choice
    row = torch_row(choice.torch)
    if row is not None and row.default_cuda == choice.torch_cuda:
        return f"torch=={choice.torch}", []
    own = torch_index(choice.torch_cuda, nightly=case.profile.torch.channel == "nightly")
    if index if index is not None else _answers(own):
        return f"torch=={choice.torch_version}", [own]
    if choice.torch_cuda is None:
        say(f"{own} does not answer: the configured index's torch {choice.torch} is taken")
        return f"torch=={choice.torch}", []
    raise MambaopsError(
        f"torch {choice.torch_version} is served by {own}, which does not answer",
        hint="collect the bundle on a machine with a network",
    )


def _answers(index: str) -> bool:
    import requests

    from mambaops.download.http import open_session

    try:
        return open_session().head(index, timeout=5, allow_redirects=True).status_code < 500
    except requests.RequestException:
        return False


def _toolkit(case: Case, say: Say) -> list[str]:
    from mambaops.knowledge.cuda import toolkit
    from mambaops.knowledge.toolkit_wheels import toolkit_wheels

    words = list(case.build_requirements)
    cuda = case.choice.toolkit if case.choice.torch_cuda else ""
    row = toolkit(cuda) if cuda else None
    if row is not None and row.wheels_on_index:
        return [*words, *toolkit_wheels(cuda)]
    say(
        f"nvcc {cuda or ''} cannot be carried as wheels (from CUDA 13 on it can): it must be on the other machine"
    )
    return words


def _packages(case: Case, with_toolkit: bool, say: Say) -> _Packages:
    found = _Packages()
    # nvcc is carried to be used
    without_nvcc = () if with_toolkit else _without_nvcc(case)
    if without_nvcc:
        found.wheels += without_nvcc_wheels(case, without_nvcc, say)
        for name in without_nvcc:
            found.modules += case.described(name).modules.imports[-1:]
    for name, spec in case.profile.packages.items():
        if name in without_nvcc:
            continue
        wheel = _wheel(case, name, spec, say)
        if wheel is not None:
            found.wheels.append(wheel)
            found.modules += case.described(name).modules.imports[-1:]
        elif with_toolkit and spec.origin == "sdist":
            say(
                f"{name} {spec.version}: no wheel fits; its sources are carried, to be compiled there"
            )
            found.sources.append(f"{name}=={spec.version}")
        elif not case.described(name).wheels.published and len(case.packages) > 1:
            say(_left_out(case, name, spec))
        else:
            raise _no_wheel(case, name, spec)
    return found


def _without_nvcc(case: Case) -> tuple[str, ...]:
    """Packages whose kernels NVRTC compiles, unless compiled wheels of all of them are stored."""
    from mambaops.store.store import Store

    names = served(case)
    keys = [
        build_key(name, case.packages[name], case.profile, case.choice, case.flags)
        for name in names
    ]
    first = "store" in strategies(case)[: strategies(case).index("runtime")] if names else False
    return () if first and all(Store().find(key) for key in keys) else names


def _left_out(case: Case, name: str, spec: PackageSpec) -> str:
    """Nobody publishes wheels of it, so that the others are carried without it."""
    profile, archs = case.flags.profile or case.profile.name, ";".join(case.choice.archs)
    return (
        f"{name} {spec.version} is LEFT OUT: nobody publishes wheels of it, and the store has none. "
        f'`mambaops build-wheel --package {name} --profile {profile} --cross --arch "{archs}"` here makes one, which '
        "the same command carries then; or it is compiled there, with that machine's nvcc"
    )


def _no_wheel(case: Case, name: str, spec: PackageSpec) -> MachineError:
    archs = ";".join(case.choice.archs)
    return MachineError(
        f"there is no wheel of {name} {spec.version} for Python {case.choice.python}, torch "
        f"{case.choice.torch_version}, {archs} to be carried",
        hint=f'build it here first: `mambaops build-mamba --cross --arch "{archs}"` '
        "puts it into the store; or `--with-toolkit` carries sources and nvcc, to compile there",
    )


def _wheel(case: Case, name: str, spec: PackageSpec, say: Say) -> Path | None:
    """From the store, from this machine's own build, or prebuilt, in that order."""
    from mambaops.store.store import Store

    key = build_key(name, spec, case.profile, case.choice, case.flags)
    if found := Store(say=say).find(key):
        say(f"{name}: {found.name}, from the store")
        return found
    if built := case.situation.wheels.get(name):
        return Path(built)
    return _prebuilt(case, name, spec, say)


def _prebuilt(case: Case, name: str, spec: PackageSpec, say: Say) -> Path | None:
    from mambaops.core.paths import cache_dir
    from mambaops.download.fetch import fetch
    from mambaops.wheels.select.selection import Wanted, select
    from mambaops.wheels.sources.planned import AstralIndexPlan, UpstreamPlan

    facts = _with_torch(case)
    offered = [
        candidate
        for source in (UpstreamPlan(), AstralIndexPlan())
        for candidate in source.candidates(name, facts)
    ]
    wanted = Wanted(version=spec.version, partner=None)
    verdicts = select(name, facts, offered, wanted).candidates
    for verdict in [one for one in verdicts if one.accepted and one.url][:MOST_TRIES]:
        try:
            path = fetch(verdict.url, cache_dir() / "prebuilt").path
        except MambaopsError as error:
            say(f"{name}: {verdict.name}: {error.message.splitlines()[0]}")
            continue
        say(f"{name}: {verdict.name} ({verdict.reason})")
        return path
    return None


def _with_torch(case: Case) -> Facts:
    """The other machine as it will be: with the chosen Python and torch."""
    choice, facts = case.choice, case.facts
    digits = choice.python.replace(".", "")
    python = msgspec.structs.replace(facts.python, version=choice.python, abi_tag=f"cp{digits}")
    torch = Torch(
        version=choice.torch_version, path="", cuda=choice.torch_cuda, cxx11_abi=choice.cxx11_abi
    )
    return msgspec.structs.replace(facts, python=python, torch=torch)
