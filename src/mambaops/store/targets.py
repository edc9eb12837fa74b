"""Which wheels of a store a machine can be offered: one list per target, since pip knows neither GPUs nor torch. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mambaops.knowledge.cuda import cubin_runs_on, ptx_runs_on
from mambaops.knowledge.gpus import capabilities
from mambaops.knowledge.tables import minor_of, version_key
from mambaops.knowledge.torch_builds import torch_row
from mambaops.store.entries import Entry
from mambaops.wheels.keys import NO_TORCH, BuildKey


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Target:
    """What pip cannot ask for: `cuda` "12.8" or "" for a CPU build, `torch` "2.8", `capability` "12.0" or ""."""

    torch: str
    cuda: str = ""
    capability: str = ""

    @property
    def name(self) -> str:
        """The folder's, e.g. "cu128-torch2.8-sm120", "cpu-torch2.13"."""
        cuda = "cu" + self.cuda.replace(".", "") if self.cuda else "cpu"
        gpu = "-sm" + self.capability.replace(".", "") if self.capability else ""
        return f"{cuda}-torch{self.torch}{gpu}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """`wheels` by target; `left_out`: file name -> why it is offered to nobody."""

    wheels: dict[Target, list[Entry]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def offered(entries: Iterable[Entry]) -> Offer:
    """Every target that a wheel serves, with the wheel that each release has for it.

    Of two builds of one release for one target pip would take the one whose digest sorts last, so the one with
    machine code goes before the one with PTX, then the newer before the older. What needs no torch of its own
    (Python alone, kernels) goes to every target that runs it.
    """
    found, every = Offer(), list(entries)
    found.left_out.update({one.wheel: why for one in every if (why := _why_not(one))})
    fit = [one for one in every if one.wheel not in found.left_out]
    for entry in fit:
        for target in _targets(entry):
            found.wheels.setdefault(target, []).append(entry)
    anywhere = [one for one in fit if not _has_torch(one)]
    for target, several in found.wheels.items():
        also = [one for one in anywhere if _runs_beside(one, target)]
        found.wheels[target] = _one_of_each([*several, *also], target)
    taken = {entry.wheel for several in found.wheels.values() for entry in several}
    for entry in fit:
        if entry.wheel not in taken:
            why = "another build of this release is offered"
            # only what tells its torch makes a target
            found.left_out[entry.wheel] = (
                why if _has_torch(entry) else f"no target runs it, or {why}"
            )
    return found


def _why_not(entry: Entry) -> str:
    key = entry.key
    if key is None:
        return "" if _pure(entry) else "nothing says which torch and GPU it was built for"
    row = torch_row(key.torch)
    build = row.build(key.cuda) if row and key.cuda else None
    if build and key.cxx11_abi is not None and build.cxx11_abi != key.cxx11_abi:
        return f"torch {minor_of(key.torch)} for CUDA {key.cuda} has the other C++ ABI"
    if key.cuda and not key.architectures:
        return "it was built for CUDA, and holds code for no GPU"
    return ""


def _pure(entry: Entry) -> bool:
    return entry.wheel.endswith("-none-any.whl")


def _has_torch(entry: Entry) -> bool:
    return entry.key is not None and entry.key.torch != NO_TORCH


def _targets(entry: Entry) -> list[Target]:
    key = entry.key
    if key is None or not _has_torch(entry):
        return []
    torch = minor_of(key.torch)
    if not key.cuda:
        return [Target(torch=torch)]
    cuda = minor_of(key.cuda)
    return [Target(torch=torch, cuda=cuda, capability=one) for one in _capabilities(key)]


def _capabilities(key: BuildKey) -> list[str]:
    """The compute capabilities that run this code, of all GPUs that are known and those it was compiled for."""
    named = {arch.partition("+")[0].rstrip("af") for arch in key.architectures}
    every = {*capabilities(), *named}
    return [one for one in every if any(_runs(arch, one) for arch in key.architectures)]


def _runs(arch: str, capability: str) -> bool:
    code, _, ptx = arch.partition("+")
    return cubin_runs_on(code, capability) or (ptx == "PTX" and ptx_runs_on(code, capability))


def _runs_beside(entry: Entry, target: Target) -> bool:
    """Does what needs no torch of its own run on a target: as Python, or with machine code for its GPU and driver?"""
    key = entry.key
    if key is None or not key.cuda:
        return True
    # a driver that torch's CUDA runs with takes machine code of an older major, and of its own
    runs = target.cuda and version_key(key.cuda)[0] <= version_key(target.cuda)[0]
    return bool(runs) and any(_runs(arch, target.capability) for arch in key.architectures)


def _release(entry: Entry) -> tuple[str, ...]:
    """Package, public version, Python and platform."""
    name, version, *tags = entry.wheel.split("-")
    return name.lower(), version.partition("+")[0], *tags


def _one_of_each(several: Sequence[Entry], target: Target) -> list[Entry]:
    """One build of each release, Python and platform."""

    def rank(entry: Entry) -> tuple[bool, float]:
        archs = entry.key.architectures if entry.key else ()
        cubin = any(cubin_runs_on(a.partition("+")[0], target.capability) for a in archs)
        return cubin, entry.added

    best = {_release(entry): entry for entry in sorted(several, key=rank)}
    return sorted(best.values(), key=lambda entry: entry.wheel)
