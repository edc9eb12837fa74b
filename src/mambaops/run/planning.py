"""A plan for this machine, or for another one from its recorded facts."""

from __future__ import annotations

from pathlib import Path

from mambaops.decide.case import Case, make_case
from mambaops.decide.situation import Flags, elsewhere
from mambaops.facts.model import load
from mambaops.plan import Plan, plan_of
from mambaops.profiles.load import load_profile
from mambaops.state.places import places


def planned(profile: str, flags: Flags, facts: str = "") -> tuple[Case, Plan]:
    """The case and the plan; `facts` is a file for another machine, empty for this one."""
    from mambaops.state.observe import observe, packs

    loaded = load_profile(profile)
    if facts:
        situation = elsewhere(loaded.name, load(Path(facts)), packs(flags.source_ids))
    else:
        situation = observe(loaded, flags, places(loaded.name))
    case = make_case(loaded, situation, flags)
    return case, plan_of(case)
