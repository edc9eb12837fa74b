"""What each machine of a fleet would take: its facts here, its plan made here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from mambaops.core.errors import MambaopsError
from mambaops.decide.case import Case
from mambaops.decide.packages import served, strategies
from mambaops.decide.runtime import refusal
from mambaops.decide.situation import Flags, StoredPack
from mambaops.fleet.gather import Seen
from mambaops.fleet.model import Host
from mambaops.fleet.ssh import Outcome
from mambaops.fleet.summary import driver, gpus, torch
from mambaops.plan import Plan, PlannedStep
from mambaops.profiles.load import load_profile
from mambaops.profiles.model import Profile
from mambaops.run.planning import planned_elsewhere


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """One machine in the table.

    Attributes:
        outcome, reason, hint: as `Seen` has them: could it be looked at?
        fits: what it would become, "" where nothing does.
        in_the_way: a line for each step that is blocked, with what to do.
        takes: ids of the steps that are needed.
        no_pack: why no pack of kernels would be used there, "" where one would.
        plan: None where it was not seen, or where no torch of the profile fits it.
    """

    host: str
    profile: str
    outcome: Outcome
    reason: str
    hint: str
    gpu: str = ""
    driver: str = ""
    torch: str = ""
    fits: str = ""
    in_the_way: list[str] = []
    takes: list[str] = []
    no_pack: str = ""
    plan: Plan | None = None


def profiles_of(hosts: Mapping[str, Host], profile: str = "") -> dict[str, Profile]:
    """Name -> profile of everything that the machines are to become; before any is asked.

    Args:
        profile: one for all of them, whatever the file says.

    Raises:
        UsageError: there is no such profile, or it does not validate.
    """
    wanted = dict.fromkeys(profile or host.profile for host in hosts.values())
    return {name: load_profile(name) for name in wanted}


def plans(
    seen: Iterable[Seen],
    hosts: Mapping[str, Host],
    profiles: Mapping[str, Profile],
    *,
    packs: tuple[StoredPack, ...] = (),
    profile: str = "",
) -> list[Planned]:
    """A row for every machine.

    Args:
        profiles: what `profiles_of` found. packs: kernels in the store here. profile: as in `profiles_of`.
    """
    rows = []
    for one in seen:
        host = hosts[one.host]
        name = profile or host.profile
        rows.append(_planned(one, host, name, profiles[name], packs))
    return rows


def _planned(
    seen: Seen, host: Host, name: str, profile: Profile, packs: tuple[StoredPack, ...]
) -> Planned:
    row = Planned(
        host=seen.host, profile=name, outcome=seen.outcome, reason=seen.reason, hint=seen.hint
    )
    facts = seen.facts
    if facts is None:
        return row
    row = msgspec.structs.replace(row, gpu=gpus(facts), driver=driver(facts), torch=torch(facts))
    flags = Flags(profile=name, arch=host.arch, torch=host.torch)
    try:
        case, plan = planned_elsewhere(profile, flags, facts, packs)
    except MambaopsError as error:  # also what a machine told that is no version: its own trouble
        told = f"{error.message}; {error.hint}" if error.hint else error.message
        return msgspec.structs.replace(row, in_the_way=[told])
    return msgspec.structs.replace(
        row,
        fits=fits(case),
        in_the_way=[_obstacle(step) for step in plan.with_status("blocked")],
        takes=[step.id for step in plan.with_status("needed")],
        no_pack=no_pack(case),
        plan=plan,
    )


def _obstacle(step: PlannedStep) -> str:
    return f"{step.id}: {step.reason}" + (f"; {step.hint}" if step.hint else "")


def fits(case: Case) -> str:
    """What the machine becomes: Python, torch, and how it gets its kernels."""
    choice = case.choice
    base = f"Python {choice.python}, torch {choice.torch_version}"
    if not choice.kernels:
        return f"{base}, no kernels"
    how = "runtime" if served(case) else strategies(case)[0]
    return f"{base}, kernels for {', '.join(choice.archs)} ({how})"


def no_pack(case: Case) -> str:
    """Why no pack of kernels would be used, "" where one would, or where no kernels are wanted."""
    if not case.choice.kernels or served(case):
        return ""
    if "runtime" not in strategies(case):
        return f"its profile takes its kernels elsewhere: {', '.join(strategies(case))}"
    return refusal(case) or f"{strategies(case)[0]} comes first there"
