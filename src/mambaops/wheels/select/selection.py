"""Choose a wheel for a machine, and say why not each other one. Pure: facts and candidates in, trace out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from mambaops.core.errors import UsageError
from mambaops.facts.model import Facts
from mambaops.knowledge.releases import same_generation
from mambaops.knowledge.wheel_sources import wheel_sources
from mambaops.wheels.candidates import REPAIRED_GLIBC, Candidate
from mambaops.wheels.machine import Machine, machine_of
from mambaops.wheels.names import PACKAGES
from mambaops.wheels.select.rules import (
    GLIBC,
    NEVER,
    OTHER,
    all_refusals,
    cost_of,
    first_refusal,
    is_neighbour,
    runs_on,
)
from mambaops.wheels.select.verdicts import (
    AFTER_REPAIR,
    FITS,
    NEIGHBOUR,
    REFUSED,
    Pair,
    Selection,
    Verdict,
)
from mambaops.wheels.select.warnings import cautions

__all__ = ["Pair", "Selection", "Verdict", "nearest_misses", "pair_versions", "select"]

_ORDER = {FITS: 0, AFTER_REPAIR: 1, NEIGHBOUR: 2, REFUSED: 3}
NEAREST = 5
Rank: TypeAlias = tuple[Any, ...]


def select(
    package: str,
    facts: Facts,
    candidates: Iterable[Candidate],
    *,
    version: str | None = None,
    allow_neighbour: bool = False,
    allow_conda: bool = False,
    partner: str | None = "installed",
    order: Sequence[str] | None = None,
) -> Selection:
    """Judge every candidate for a package.

    Args:
        version: an exact version or a specifier (">=2.3"); None: the newest that fits.
        allow_neighbour: take a wheel built for a torch minor that is known to work with this one.
        allow_conda: take a conda package, which may replace torch.
        partner: version of the other package to match; "installed": the one in the facts; None: any.
        order: names of sources, best first; None: the table's.

    Raises:
        UsageError: an unknown package or a version that is none.
    """
    if package not in PACKAGES:
        raise UsageError(
            f"no prebuilt wheels are known for `{package}`",
            hint=f"known: {', '.join(PACKAGES)}",
        )
    wanted = _specifier(version)
    machine = _with_partner(replace(machine_of(facts), allow_conda=allow_conda), package, partner)
    sources = list(order or [row.name for row in wheel_sources().source])
    judged = [
        _judge(candidate, machine, allow_neighbour)
        for candidate in candidates
        if candidate.package == package and _is_wanted(candidate, wanted)
    ]
    accepted = sorted(
        (v for v in judged if v[0].accepted), key=lambda v: _rank(v[0], v[1], sources, machine)
    )
    refused = [verdict for verdict, _ in judged if not verdict.accepted]
    trace = [verdict for verdict, _ in accepted]
    if trace:
        trace[0] = _praised(trace[0], accepted[0][1], len(trace), version)
    return Selection(
        package=package,
        chosen=trace[0] if trace else None,
        candidates=(*trace, *refused),
        nearest=() if trace else nearest_misses(refused, machine),
    )


def pair_versions(
    facts: Facts,
    candidates: Iterable[Candidate],
    *,
    mamba: str | None = None,
    conv: str | None = None,
    allow_neighbour: bool = False,
    order: Sequence[str] | None = None,
) -> Pair:
    """Choose both packages for one machine: the best pair of one generation.

    The wheel of mamba-ssm decides; where none fits, what stands in the way is the reason.
    """
    offered = list(candidates)
    pick = {"allow_neighbour": allow_neighbour, "partner": None, "order": order}
    first = select("mamba-ssm", facts, offered, version=mamba, **pick)  # type: ignore[arg-type]
    second = select("causal-conv1d", facts, offered, version=conv, **pick)  # type: ignore[arg-type]
    for m in first.candidates:
        if not m.accepted:
            break
        for c in second.candidates:
            if c.accepted and same_generation(m.version, c.version):
                return Pair(mamba=m, conv=c, reason=f"{m.version} and {c.version} go together")
    return Pair(mamba=None, conv=None, reason=_no_pair(first, second))


def nearest_misses(refused: Sequence[Verdict], machine: Machine) -> tuple[Verdict, ...]:
    """The refused ones for which the least would have to change, one per set of changes."""
    # Hugging Face's kernels give another thing, whatever would change
    wheels = [verdict for verdict in refused if verdict.source != "hf-kernels"]
    misses: dict[tuple[str, ...], tuple[Rank, Verdict]] = {}
    for number, verdict in enumerate(wheels):
        c = verdict.candidate
        worst = max(rank[0] for rank, _ in misses.values()) if len(misses) >= NEAREST else NEVER - 1
        cost = cost_of(c, machine, worst) or 1  # a neighbour breaks no rule
        if cost > worst:
            continue
        found = all_refusals(c, machine)
        change = _shortest(tuple(rule.change(c, machine) for rule, _ in found))
        rank = (cost, _newest_first(verdict.version), _newest_first(c.torch or ""), number)
        if change not in misses or rank < misses[change][0]:
            reasons = tuple(reason for _, reason in found) or (verdict.reason,)
            misses[change] = (rank, _changed(verdict, change, reasons))
            for extra in sorted(misses, key=lambda key: misses[key][0])[NEAREST:]:
                del misses[extra]
    return tuple(verdict for _, verdict in sorted(misses.values(), key=lambda row: row[0]))


def _shortest(changes: tuple[str, ...]) -> tuple[str, ...]:
    """Without those that another one says already ("torch 2.11" beside "torch 2.11 for CUDA 12")."""
    kept = [
        one
        for one in changes
        if not any(other != one and other.startswith(f"{one} ") for other in changes)
    ]
    return tuple(dict.fromkeys(kept)) or ("--allow-neighbour",)


def _judge(c: Candidate, m: Machine, allow_neighbour: bool) -> tuple[Verdict, int]:
    refusal = first_refusal(c, m)
    repair = None
    if refusal is not None and refusal[0] is GLIBC and _repair_helps(c, m):
        refusal, repair = None, m.glibc
    if refusal is not None:
        return _verdict(c, REFUSED, refusal[1]), 0
    said = cautions(c, m)
    notes = tuple(text for _, text in said)
    weight = sum(weight for weight, _ in said)
    if is_neighbour(c, m):
        return _neighbour(c, m, notes, repair, allow_neighbour), weight
    if repair:
        reason = (
            f"fits after repair: needs GLIBC_{c.glibc} for one symbol that can be supplied; "
            f"{m.where} has {repair}"
        )
        return _verdict(c, AFTER_REPAIR, reason, notes, repair), weight
    return _verdict(c, FITS, _praise(c, m), notes), weight


def _repair_helps(c: Candidate, m: Machine) -> bool:
    """The glibc need is the one known symbol, and no other rule speaks against it."""
    if not c.repairable or not m.glibc or Version(m.glibc) < Version(REPAIRED_GLIBC):
        return False
    return all(rule is GLIBC for rule, _ in all_refusals(c, m))


def _neighbour(
    c: Candidate, m: Machine, notes: tuple[str, ...], repair: str | None, allowed: bool
) -> Verdict:
    reason = f"built for torch {c.torch}, known to load and work with {m.torch_minor}"
    reason += "; prove it with `mambaops verify`" if allowed else ": taken with --allow-neighbour"
    return _verdict(c, NEIGHBOUR, reason, notes, repair, accepted=allowed)


def _verdict(
    c: Candidate,
    kind: str,
    reason: str,
    notes: tuple[str, ...] = (),
    repair: str | None = None,
    accepted: bool | None = None,
) -> Verdict:
    return Verdict(
        name=c.name,
        source=c.source,
        accepted=kind != REFUSED if accepted is None else accepted,
        reason=reason,
        kind=kind,
        url=c.url,
        version=c.version,
        notes=notes,
        repair=repair,
        candidate=c,
    )


def _praise(c: Candidate, m: Machine) -> str:
    if c.needs:
        return "can be installed here by another installer"
    parts = [f"torch {c.torch or m.torch_minor}", f"CUDA {c.cuda}" if c.cuda else "no GPU code"]
    parts += [f"Python {c.python}"] if c.python else []
    if c.named_abi is not None and c.cxx11_abi != c.named_abi:
        parts.append("the new C++11 ABI in spite of its name")
    elif c.cxx11_abi is not None:
        parts.append(f"the {'new' if c.cxx11_abi else 'old'} C++11 ABI")
    if served := [one for one in m.capabilities if c.cubins is not None and runs_on(c, one)]:
        parts.append(f"GPU code for {', '.join(served)}")
    return "fits: " + ", ".join(parts)


def _praised(verdict: Verdict, weight: int, fitting: int, version: str | None) -> Verdict:
    why = []
    if fitting > 1:
        why.append(f"best of {fitting}")
    if verdict.source == "store":
        why.append("already in the store")
    if version is None and verdict.version:
        why.append("the newest version that fits" + (" without reservations" * (weight == 0)))
    reason = f"{verdict.reason}; {', '.join(why)}" if why else verdict.reason
    return _changed(verdict, (), (reason,))


def _changed(verdict: Verdict, change: tuple[str, ...], reasons: tuple[str, ...]) -> Verdict:
    return replace(verdict, change=change, reason="; ".join(reasons))


def _rank(verdict: Verdict, weight: int, sources: Sequence[str], m: Machine) -> Rank:
    source = verdict.source
    place = sources.index(source) if source in sources else len(sources)
    other = verdict.candidate.needs != ""
    return (
        other,
        _ORDER[verdict.kind],
        source != "store",
        weight > 0,
        _newest_first(verdict.version),
        place,
        _distance(verdict.candidate.cuda, m.cuda),
        weight,
        verdict.name,
    )


def _distance(cuda: str | None, torch: str | None) -> int:
    """0 for torch's own CUDA, 1 for one that names its major alone, 2 for another minor."""
    if cuda == torch:
        return 0
    return 1 if cuda and "." not in cuda else 2


def _newest_first(version: str) -> Rank:
    """A sort key that puts newer versions first, e.g. 2.3.2.post1 before 2.3.2."""
    try:
        parsed = Version(version)
    except InvalidVersion:
        return (0,)
    release = (*parsed.release, 0, 0, 0)[:3]
    return (*(-part for part in release), -(parsed.post or 0), parsed.is_prerelease)


def _specifier(version: str | None) -> SpecifierSet | None:
    if not version:
        return None
    try:
        return SpecifierSet(f"=={Version(version)}")
    except InvalidVersion:
        pass
    try:
        return SpecifierSet(version)
    except InvalidSpecifier as error:
        raise UsageError(
            f"`{version}` is neither a version nor a condition on versions",
            hint="for example 2.3.1 or '>=2.3,<2.4'",
        ) from error


def _is_wanted(candidate: Candidate, wanted: SpecifierSet | None) -> bool:
    return wanted is None or (
        candidate.version != "" and wanted.contains(candidate.version, prereleases=True)
    )


def _with_partner(machine: Machine, package: str, partner: str | None) -> Machine:
    if partner == "installed":
        return machine
    packages = {name: v for name, v in machine.packages.items() if name != OTHER[package]}
    if partner is not None:
        packages[OTHER[package]] = partner
    return replace(machine, packages=packages)


def _no_pair(first: Selection, second: Selection) -> str:
    for selection in (first, second):
        if selection.chosen is None:
            why = selection.nearest[0].reason if selection.nearest else "nothing is on offer"
            return f"no wheel of {selection.package} fits; the nearest: {why}"
    return (
        "wheels of both packages fit, but none of one generation: "
        f"mamba-ssm {first.chosen.version if first.chosen else ''} and causal-conv1d "
        f"{second.chosen.version if second.chosen else ''} are of different ones"
    )
