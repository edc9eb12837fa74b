"""The smallest set of packs of kernels that serves every machine of a fleet: compiled here once, carried to each. Pure."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterable, Sequence

import msgspec

from mambaops.decide.runtime import serves
from mambaops.decide.situation import StoredPack
from mambaops.fleet.plan import Planned
from mambaops.knowledge.cuda import cubin_runs_on, nvcc_can_target
from mambaops.knowledge.tables import version_key
from mambaops.runtime.selection import USUAL

# whose NVRTC compiles, in the order in which equals are taken: drivers from 525 on take 12.8's machine code
CUDAS = ("12.8", "13.0", "11.8")


class NeededPack(msgspec.Struct, frozen=True, kw_only=True):
    """One pack: the CUDA that compiles it, for which architectures, and whom it serves.

    `stored` is a pack in the store here that does it already, and `command` is empty then.
    """

    cuda: str
    archs: list[str]
    hosts: list[str]
    stored: str = ""
    command: str = ""


class PackSet(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that has to be compiled for a fleet; `without` says for every other machine why it needs none."""

    packs: list[NeededPack]
    without: dict[str, str]


class FleetPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The table of a fleet; `packs` is None where they were not asked for."""

    hosts: list[Planned]
    packs: PackSet | None = None


def pack_set(rows: Sequence[Planned], stored: Sequence[StoredPack] = ()) -> PackSet:
    """The fewest packs; of those the ones with the fewest architectures.

    Args:
        stored: packs in the store here.
    """
    without = {row.host: why for row in rows if (why := row.no_pack or _why_not(row))}
    wanted = [row for row in rows if row.host not in without]
    best = min(_ways(wanted), key=_size, default={})
    packs = [_needed(cuda, found, stored) for cuda, found in best.items()]
    return PackSet(packs=packs, without=without)


def _why_not(row: Planned) -> str:
    if row.plan is None:
        return row.reason or "no torch of its profile fits it"
    if not row.plan.choice.archs:
        return "no kernels are wanted: it has no GPU"
    return (
        "" if _compilers(row) else f"no NVRTC that it takes makes code for {', '.join(_archs(row))}"
    )


def _archs(row: Planned) -> tuple[str, ...]:
    assert row.plan is not None
    return row.plan.choice.archs


def _compilers(row: Planned) -> list[str]:
    """The CUDAs whose machine code serves a machine."""
    assert row.plan is not None
    cuda = row.plan.choice.torch_cuda or "0"
    archs = _archs(row)
    can = [one for one in CUDAS if all(nvcc_can_target(one, arch) for arch in archs)]
    return [one for one in can if serves(one, archs, cuda, archs)]


def _ways(rows: Sequence[Planned]) -> Iterable[dict[str, list[Planned]]]:
    """CUDA -> machines, for each set of CUDAs that serves all; a machine takes the first that serves it."""
    compilers = {row.host: _compilers(row) for row in rows}
    for count in range(1, len(CUDAS) + 1) if rows else ():
        for chosen in itertools.combinations(CUDAS, count):
            serving = {
                row.host: next((one for one in chosen if one in compilers[row.host]), "")
                for row in rows
            }
            if all(serving.values()):
                yield {
                    one: [row for row in rows if serving[row.host] == one]
                    for one in chosen
                    if one in serving.values()
                }


def _size(way: dict[str, list[Planned]]) -> tuple[int, int]:
    return len(way), sum(len(fewest(_all_archs(rows))) for rows in way.values())


def _all_archs(rows: Iterable[Planned]) -> list[str]:
    return [arch for row in rows for arch in _archs(row)]


def fewest(archs: Iterable[str]) -> list[str]:
    """The fewest architectures whose machine code runs on all of them, e.g. 8.0 alone for 8.0, 8.6 and 8.9."""
    found: list[str] = []
    for arch in sorted(set(archs), key=version_key):
        if not any(cubin_runs_on(one, arch) for one in found):
            found.append(arch)
    return found


def _needed(cuda: str, rows: Sequence[Planned], stored: Sequence[StoredPack]) -> NeededPack:
    archs, hosts = fewest(_all_archs(rows)), [row.host for row in rows]
    for one in stored:
        if USUAL.serves(one.selection) and all(_served(row, one) for row in rows):
            return NeededPack(cuda=one.cuda, archs=list(one.archs), hosts=hosts, stored=one.path)
    words = ["--arch", ";".join(archs), "--cuda", cuda, "--output", "packs"]
    command = f"mambaops compile-kernels {shlex.join(words)}"
    return NeededPack(cuda=cuda, archs=archs, hosts=hosts, command=command)


def _served(row: Planned, pack: StoredPack) -> bool:
    assert row.plan is not None
    return serves(pack.cuda, pack.archs, row.plan.choice.torch_cuda or "0", _archs(row))
