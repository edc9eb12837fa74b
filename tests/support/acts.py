"""Acts of steps in the tests' own process: a case on a recorded machine, and a context that remembers lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compiled_profiles import compiled
from recorded import varied

from mambaops.decide.case import Case, make_case
from mambaops.decide.situation import Flags, Situation
from mambaops.profiles.model import Profile
from mambaops.state.evidence import RunLog
from mambaops.state.places import places
from mambaops.steps.context import Context

said: list[str] = []  # what the context of this test was told


def case_on(
    machine: str,
    profile: str | Profile = "local",
    *,
    like: Mapping[str, Any] | None = None,
    flags: Flags | None = None,
    only: tuple[str, ...] = (),
    **situation: Any,
) -> Case:
    """What is decided on a recorded machine (`like`: its changes) with no environment yet."""
    made = compiled(profile) if isinstance(profile, str) else profile
    facts = varied(machine, like or {})
    return make_case(made, Situation(facts=facts, **situation), flags or Flags(), only=only)


def context_of(case: Case, jobs: int = 0) -> Context:
    """What an act is called with; `said` begins anew."""
    said.clear()
    where = places(case.profile.name)
    log = RunLog.begin(where.runs, case.profile.name)
    return Context(
        profile=case.profile,
        flags=case.flags,
        where=where,
        run=log,
        say=said.append,
        jobs=jobs,
    )
