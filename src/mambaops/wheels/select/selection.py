"""Choose a wheel for a machine, and say why not each other one. Pure: facts and candidates in, trace out."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from mambaops.core.errors import UsageError
from mambaops.facts.model import Facts
from mambaops.facts.newer import newer_than_known
from mambaops.knowledge.packages import partner as partner_of
from mambaops.knowledge.wheel_sources import wheel_sources
from mambaops.wheels.candidates import REPAIRED_GLIBC, Candidate
from mambaops.wheels.machine import Machine, machine_of
from mambaops.wheels.select.machine_rules import runs_on
from mambaops.wheels.select.nearest import nearest_misses
from mambaops.wheels.select.ranking import rank_of
from mambaops.wheels.select.rules import GLIBC, all_refusals, first_refusal
from mambaops.wheels.select.torch_rules import is_neighbour
from mambaops.wheels.select.verdicts import (
    AFTER_REPAIR,
    FITS,
    NEIGHBOUR,
    REFUSED,
    Selection,
    Verdict,
)
from mambaops.wheels.select.warnings import warnings_about

INSTALLED = "installed"


class Wanted(Struct, frozen=True, kw_only=True):
    """What is asked for.

    Attributes:
        version: an exact version or a specifier (">=2.3"); None: the newest that fits.
        allow_neighbour: take a wheel built for a torch minor that is known to work with this one.
        allow_conda: take a conda package, which may replace torch.
        partner: version of the other package to match; INSTALLED: the one in the facts; None: any.
    """

    version: str | None = None
    allow_neighbour: bool = False
    allow_conda: bool = False
    partner: str | None = INSTALLED


NEWEST = Wanted()


def select(
    package: str, facts: Facts, candidates: Iterable[Candidate], wanted: Wanted = NEWEST
) -> Selection:
    """Judge every candidate for a package.

    Raises:
        UsageError: a version that is none.
    """
    versions = _specifier(wanted.version)
    machine = _with_partner(
        replace(machine_of(facts), allow_conda=wanted.allow_conda), package, wanted.partner
    )
    judged = [
        _judge(candidate, machine, wanted.allow_neighbour)
        for candidate in candidates
        if candidate.package == package and _is_wanted(candidate, versions)
    ]
    accepted = _best_first([one for one in judged if one[0].accepted], machine, wanted)
    refused = [verdict for verdict, _ in judged if not verdict.accepted]
    return Selection(
        package=package,
        machine=machine,
        newer=newer_than_known(facts),
        chosen=accepted[0] if accepted else None,
        candidates=(*accepted, *refused),
        nearest=() if accepted else nearest_misses(refused, machine),
    )


def _best_first(
    accepted: list[tuple[Verdict, int]], machine: Machine, wanted: Wanted
) -> list[Verdict]:
    """In their order; the first one also says why it is first."""
    sources = [row.name for row in wheel_sources().source]
    ranked = sorted(accepted, key=lambda one: rank_of(one[0], one[1], sources, machine))
    if not ranked:
        return []
    best, weight = ranked[0]
    why = _why_best(best, weight, len(ranked), wanted.version)
    reason = "; ".join([best.reason, *([", ".join(why)] if why else [])])
    return [replace(best, reason=reason), *(verdict for verdict, _ in ranked[1:])]


def _why_best(best: Verdict, weight: int, fitting: int, version: str | None) -> list[str]:
    why = [f"best of {fitting}"] if fitting > 1 else []
    if best.source == "store":
        why.append("already in the store")
    if version is None and best.version:
        why.append("the newest version that fits" + (" without reservations" * (weight == 0)))
    return why


def _judge(c: Candidate, m: Machine, allow_neighbour: bool) -> tuple[Verdict, int]:
    """The verdict, and how much its warnings weigh."""
    refusal = first_refusal(c, m)
    repair = None
    if refusal is not None and refusal[0] is GLIBC and _repair_helps(c, m):
        refusal, repair = None, m.glibc
    if refusal is not None:
        rule, reason = refusal
        return replace(_verdict(c, REFUSED, reason), rule=rule.name), 0
    warnings = warnings_about(c, m)
    notes = tuple(text for _, text in warnings)
    weight = sum(weight for weight, _ in warnings)
    if is_neighbour(c, m):
        return _neighbour(c, m, notes, repair, allow_neighbour), weight
    if repair:
        reason = (
            f"fits after repair: needs GLIBC_{c.glibc} for one symbol that can be supplied; "
            f"{m.where} has {repair}"
        )
        return _verdict(c, AFTER_REPAIR, reason, notes, repair), weight
    return _verdict(c, FITS, _why_it_fits(c, m), notes), weight


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


def _why_it_fits(c: Candidate, m: Machine) -> str:
    if c.needs:
        return "can be installed here by another installer"
    parts = [f"torch {c.torch or m.torch_minor}", f"CUDA {c.cuda}" if c.cuda else "no GPU code"]
    parts += [f"Python {c.python}"] if c.python else []
    if c.cxx11_abi is not None:
        spite = " in spite of its name" if c.named_abi not in (None, c.cxx11_abi) else ""
        parts.append(f"the {'new' if c.cxx11_abi else 'old'} C++11 ABI{spite}")
    if served := [one for one in m.capabilities if runs_on(c, one)]:
        parts.append(f"GPU code for {', '.join(served)}")
    return "fits: " + ", ".join(parts)


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
    names = filter(None, (candidate.version, candidate.tag))
    return wanted is None or any(wanted.contains(one, prereleases=True) for one in names)


def _with_partner(machine: Machine, package: str, partner: str | None) -> Machine:
    if partner == INSTALLED:
        return machine
    other = partner_of(package)
    packages = {name: v for name, v in machine.packages.items() if name != other}
    if partner is not None and other:
        packages[other] = partner
    return replace(machine, packages=packages)
