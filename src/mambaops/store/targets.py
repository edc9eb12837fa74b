"""Which wheels of a store a machine can be offered: one list per target, since pip knows neither GPUs nor torch. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mambaops.knowledge.cuda import cubin_runs_on, ptx_runs_on
from mambaops.knowledge.gpus import capabilities
from mambaops.knowledge.tables import minor_of, version_key
from mambaops.knowledge.torch_builds import torch_row
from mambaops.store.entries import Entry
from mambaops.wheels.keys import BuildKey


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
    machine code goes before the one with PTX, then the newer before the older.
    """
    found, every = Offer(), list(entries)
    for entry in every:
        if why := _why_not(entry):
            found.left_out[entry.wheel] = why
            continue
        for target in _targets(entry):
            found.wheels.setdefault(target, []).append(entry)
    anywhere = [entry for entry in every if entry.key is None and _pure(entry)]
    for target, several in found.wheels.items():
        found.wheels[target] = [*_one_of_each(several, target), *anywhere]
    taken = {entry.wheel for several in found.wheels.values() for entry in several}
    for entry in every:
        if entry.wheel not in taken:
            found.left_out.setdefault(entry.wheel, "another build of this release is offered")
    return found


def _why_not(entry: Entry) -> str:
    key = entry.key
    if key is None:
        return "" if _pure(entry) else "nothing says which torch and GPU it was built for"
    row = torch_row(key.torch)
    build = row.build(key.cuda) if row and key.cuda else None
    if build and key.cxx11_abi is not None and build.cxx11_abi != key.cxx11_abi:
        return f"torch {minor_of(key.torch)} for CUDA {key.cuda} has the other C++ ABI"
    if key.cuda and not _capabilities(key):
        return f"no GPU that is known runs code for {' '.join(key.architectures) or 'nothing'}"
    return ""


def _pure(entry: Entry) -> bool:
    return entry.wheel.endswith("-none-any.whl")


def _targets(entry: Entry) -> list[Target]:
    key = entry.key
    if key is None:
        return []  # Python alone: it goes to every target
    torch = minor_of(key.torch)
    if not key.cuda:
        return [Target(torch=torch)]
    cuda = minor_of(key.cuda)
    return [Target(torch=torch, cuda=cuda, capability=one) for one in _capabilities(key)]


def _capabilities(key: BuildKey) -> list[str]:
    """The compute capabilities that run this code, of all GPUs that are known and those it was compiled for."""
    named = {arch.partition("+")[0].rstrip("af") for arch in key.architectures}
    every = sorted({*capabilities(), *named}, key=version_key)
    return [one for one in every if any(_runs(arch, one) for arch in key.architectures)]


def _runs(arch: str, capability: str) -> bool:
    code, _, ptx = arch.partition("+")
    return cubin_runs_on(code, capability) or (ptx == "PTX" and ptx_runs_on(code, capability))


def _one_of_each(several: Sequence[Entry], target: Target) -> list[Entry]:
    """One build of each release, Python and platform."""

    def rank(entry: Entry) -> tuple[bool, float]:
        archs = entry.key.architectures if entry.key else ()
        cubin = any(cubin_runs_on(a.partition("+")[0], target.capability) for a in archs)
        return cubin, entry.added

    best: dict[tuple[str, str, str], Entry] = {}
    for entry in sorted(several, key=rank):
        key = entry.key
        if key is not None:
            tags = entry.wheel.removesuffix(".whl").split("-")[-3:]
            best[key.package, key.version, "-".join(tags)] = entry
    return sorted(best.values(), key=lambda entry: entry.wheel)
