"""A plan for this machine, or for another one from its recorded facts."""

from __future__ import annotations

from pathlib import Path

from mambaops.decide.case import Case, make_case
from mambaops.decide.situation import Flags, StoredPack, elsewhere
from mambaops.facts.model import Facts, load
from mambaops.plan import Plan, plan_of
from mambaops.profiles.load import load_profile
from mambaops.profiles.model import Profile
from mambaops.state.places import places


def planned(profile: str, flags: Flags, facts: str = "") -> tuple[Case, Plan]:
    """The case and the plan; `facts` is a file for another machine, empty for this one."""
    from mambaops.state.observe import observe, packs

    loaded = load_profile(profile)
    if facts:
        return planned_elsewhere(loaded, flags, load(Path(facts)), packs(flags.source_ids))
    case = make_case(loaded, observe(loaded, flags, places(loaded.name)), flags)
    return case, plan_of(case)


def planned_elsewhere(
    profile: Profile, flags: Flags, facts: Facts, packs: tuple[StoredPack, ...] = ()
) -> tuple[Case, Plan]:
    """The case and the plan of another machine, from its facts; `packs` are kernels in the store here. Pure."""
    case = make_case(profile, elsewhere(profile.name, facts, packs), flags)
    return case, plan_of(case)
