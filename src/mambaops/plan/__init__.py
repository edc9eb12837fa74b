"""Facts and a profile make a plan: ordered steps, each done, needed or blocked, with its reason. Pure.

The plan is the dry run: it shows exactly what the runner would do, because both ask the same steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mambaops.decide.case import Case
from mambaops.decide.choice import Choice
from mambaops.plan.command import command_of
from mambaops.plan.order import instances
from mambaops.steps import all_steps
from mambaops.steps.step import Instance, Step


class PlannedStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a plan. `command` is the task that does it alone."""

    id: str
    status: str
    reason: str
    hint: str
    command: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What will be done, in order, and the decisions behind it."""

    profile: str
    choice: Choice
    steps: list[PlannedStep]

    def with_status(self, status: str) -> list[PlannedStep]:
        return [step for step in self.steps if step.status == status]


def plan_of(case: Case, *, steps: Sequence[Step] | None = None) -> Plan:
    """Every step of a case with its status and reason.

    Args:
        steps: other steps than those of `mambaops.steps`.
    """
    known = all_steps() if steps is None else steps
    planned = [_planned(case, one) for one in instances(known, case)]
    return Plan(profile=case.profile.name, choice=case.choice, steps=planned)


def _planned(case: Case, instance: Instance) -> PlannedStep:
    verdict = instance.judge(case)
    return PlannedStep(
        id=instance.id,
        status=verdict.status,
        reason=verdict.reason,
        hint=verdict.hint,
        command=command_of(case, instance),
    )
