"""Prebuilt wheels: choose for this environment, check that the chosen one exists, fetch it whole.

A listed name is a candidate, not a promise: the first accepted one that can be fetched (and repaired, where
that is needed) is taken, and what was tried is said. Finding nothing is no error: the source build follows.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from mambaops.core.errors import MambaopsError
from mambaops.decide.case import Case
from mambaops.decide.packages import is_there, served, wants_prebuilt
from mambaops.decide.situation import Prebuilt
from mambaops.decide.verdict import Verdict, done, needed
from mambaops.facts.model import Facts
from mambaops.knowledge.packages import pairs
from mambaops.steps.step import Step

if TYPE_CHECKING:
    from mambaops.profiles.model import PackageSpec
    from mambaops.steps.context import Context
    from mambaops.wheels.candidates import Candidate
    from mambaops.wheels.select.verdicts import Verdict as WheelVerdict

# names that do not exist answer at once; more than this is a sign that nothing can be reached
MOST_TRIES = 4


def assess(case: Case) -> Verdict:
    """Prebuilt wheels are looked for before anything is compiled, where the profile says so."""
    without_wheel = served(case)
    missing = [
        name
        for name, spec in case.packages.items()
        if name not in without_wheel
        and not is_there(case, name)
        and name not in case.situation.prebuilt
    ]
    if not missing:
        return done(_found_prebuilt(case))
    return needed("look for a prebuilt wheel of " + " and ".join(missing))


def _found_prebuilt(case: Case) -> str:
    if not case.situation.prebuilt:
        return "the wheels are there"
    return "; ".join(
        f"{name}: {found.name or found.reason}" for name, found in case.situation.prebuilt.items()
    )


def wanted(case: Case) -> bool:
    """Only where kernels are wanted and prebuilt wheels come before compiling."""
    return case.choice.kernels and wants_prebuilt(case)


def act(context: Context, case: Case) -> None:
    """Look for every package that is missing, and remember what was found for this choice."""
    from mambaops.state.observe import search_key

    assert case.target is not None
    facts = msgspec.structs.replace(case.target, gpus=case.facts.gpus, driver=case.facts.driver)
    without_wheel = served(case)
    found = {
        name: _search(context, case, name, spec, facts)
        for name, spec in case.profile.packages.items()
        if name not in case.situation.wheels and name not in without_wheel
    }
    found = _pairs_only(context, found)
    context.note(
        prebuilt={
            "for": search_key(case),
            "when": time.time(),
            "found": msgspec.to_builtins(found),
        }
    )


def _search(
    context: Context, case: Case, package: str, spec: PackageSpec, facts: Facts
) -> Prebuilt:
    """The profile's release; where that has no wheel, the newest of those that do as well."""
    from mambaops.wheels.sources.listing import list_candidates, usual_sources

    if not case.described(package).wheels.published:
        return Prebuilt(reason="nobody publishes wheels of it")
    read = usual_sources(facts, places=case.profile.find_links, online=True)
    offered = list_candidates(package, facts, read, say=context.say)
    missed: list[str] = []
    for version in filter(None, (spec.version, spec.ready_made)):
        found = _chosen(context, package, facts, offered, version)
        if found.url:
            return found
        missed.append(found.reason)
        context.say(f"{package} {version}: {found.reason}")
    return Prebuilt(reason=missed[0])


def _chosen(
    context: Context, package: str, facts: Facts, offered: list[Candidate], version: str
) -> Prebuilt:
    from mambaops.wheels.select.confirm import select_confirmed
    from mambaops.wheels.select.selection import Wanted

    wanted = Wanted(version=version, partner=None)
    chosen = select_confirmed(package, facts, offered, wanted, say=context.say)
    accepted = [one for one in chosen.candidates if one.accepted and one.url]
    if accepted:
        return _fetch_first(context, package, accepted[:MOST_TRIES])
    reason = chosen.nearest[0].reason if chosen.nearest else "no candidate"
    return Prebuilt(reason=f"none fits: {reason}")


def _fetch_first(context: Context, package: str, accepted: list[WheelVerdict]) -> Prebuilt:
    """The first one that is really there and can be used. A host that does not answer is not asked again."""
    tried: list[str] = []
    silent: set[str] = set()
    for verdict in accepted:
        host = urlsplit(verdict.url).netloc
        if host in silent:
            continue
        try:
            path = _repaired(context, _bring(context, verdict, host, silent), verdict)
        except MambaopsError as error:
            tried.append(f"{verdict.name}: {error.message.splitlines()[0]}")
            context.say(f"{package}: {tried[-1]}")
            continue
        context.say(f"{package}: {verdict.name} ({verdict.reason})")
        return Prebuilt(name=path.name, url=verdict.url, path=str(path), reason=verdict.reason)
    return Prebuilt(reason=f"none of those that fit could be fetched and used: {tried[0]}")


def _bring(context: Context, verdict: WheelVerdict, host: str, silent: set[str]) -> Path:
    """Ask whether it is there (once, quickly), then fetch it with all patience.

    Raises:
        MambaopsError: it is not there, the host does not answer, or the file does not come whole.
    """
    from mambaops.download.fetch import fetch
    from mambaops.wheels.sources.listing import exists

    if host:
        try:
            there = exists(verdict.url)
        except MambaopsError:
            silent.add(host)
            raise
        if not there:
            raise MambaopsError("it was planned and is not there (404)")
    return fetch(verdict.url, context.where.root / "wheels").path


def _repaired(context: Context, path: Path, verdict: WheelVerdict) -> Path:
    """The wheel itself, or its repaired copy where the choice depends on the repair.

    Raises:
        MambaopsError: it cannot be repaired.
    """
    from mambaops.wheels.repair.glibc import repair_wheel

    if not verdict.repair:
        return path
    repaired = repair_wheel(path, glibc=verdict.repair, out=path.parent)
    context.say(f"{path.name}: repaired for glibc {verdict.repair}: {repaired.wheel.name}")
    return repaired.wheel


def _pairs_only(context: Context, found: dict[str, Prebuilt]) -> dict[str, Prebuilt]:
    """Both or none: a prebuilt wheel beside one that is compiled here would mix two compilers' ABIs."""
    for pair in pairs():
        halves = {name: found[name] for name in pair if name in found}
        if len({bool(one.url) for one in halves.values()}) == 2:
            context.say(f"only one of {' and '.join(pair)} has a prebuilt wheel: both are compiled")
            found = {**found, **{name: _none(one) for name, one in halves.items()}}
    return found


def _none(half: Prebuilt) -> Prebuilt:
    return Prebuilt(reason="the other package has none" if half.url else half.reason)


STEP = Step(
    id="find-wheels",
    help="Look for prebuilt wheels that fit, and fetch them.",
    assess=assess,
    act=act,
    stands_on=("install-torch",),
    wanted=wanted,
)
