"""Plans and profiles as text that is understood without colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mambaops.plan import Plan
from mambaops.profiles.model import Profile

MARKS = {"done": "done   ", "needed": "needed ", "blocked": "BLOCKED"}


def plan_text(plan: Plan) -> str:
    """The decisions and one line per step; the hint below each blocked one."""
    choice = plan.choice
    kernels = ", ".join(choice.archs) if choice.archs else "none"
    lines = [
        f"profile {plan.profile}: Python {choice.python}, torch {choice.torch_version}, "
        f"kernels for {kernels}"
    ]
    lines += [f"  {name}: {reason}" for name, reason in choice.reasons.items()]
    lines += [f"  note: {note}" for note in choice.notes]
    width = max(len(step.id) for step in plan.steps)
    for step in plan.steps:
        lines.append(f"{MARKS[step.status]} {step.id:{width}}  {step.reason}")
        if step.hint:
            lines += [f"        -> {line}" for line in step.hint.splitlines()]
    return "\n".join(lines)


def listed(profiles: Sequence[Profile]) -> str:
    """One line per profile."""
    width = max(len(profile.name) for profile in profiles)
    return "\n".join(f"{profile.name:{width}}  {profile.title}" for profile in profiles)


def explained(rows: Sequence[tuple[str, Any, str]]) -> str:
    """Key path, value, and why."""
    lines = []
    for path, value, why in rows:
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        lines.append(f"{path} = {shown or '(empty)'}")
        if why:
            lines.append(f"    {why}")
    return "\n".join(lines)
