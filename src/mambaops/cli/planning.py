"""A plan for this machine, or for another one from its recorded facts."""

from __future__ import annotations

from pathlib import Path

from mambaops.environments import places
from mambaops.facts.model import Facts, load
from mambaops.observe import observe
from mambaops.plan import Plan, make_case, make_plan
from mambaops.plan.assess import Case
from mambaops.plan.situation import Flags, Situation
from mambaops.profiles import Profile, load_profile


def planned(profile: str, flags: Flags, facts: str = "") -> tuple[Case, Plan]:
    """The case and the plan; `facts` is a file for another machine, empty for this one."""
    loaded = load_profile(profile)
    if facts:
        situation = elsewhere(loaded, load(Path(facts)))
    else:
        situation = observe(loaded, flags, places(loaded.name))
    return make_case(loaded, situation, flags), make_plan(loaded, situation, flags)


def elsewhere(profile: Profile, facts: Facts) -> Situation:
    """What can be known of another machine: its facts, taken inside an environment or outside of one."""
    inside = facts.python.kind in ("venv", "conda")
    env = facts.python.prefix if inside else f".mambaops/envs/{profile.name}"
    return Situation(facts=facts, target=facts if inside else None, env=env)
