"""A plan as a commented shell script that does the same by hand. Pure.

It holds every step of the profile, those that are done already commented out with the reason, so that it
can be read as an instruction and run from the top on a bare machine.
"""

from __future__ import annotations

import shlex

from mambaops.decide.case import Case
from mambaops.plan.order import instances
from mambaops.steps import all_steps
from mambaops.steps.step import Instance

HEAD = """#!/bin/sh
# {title}
# Profile {name}: Python {python}, torch {torch}, kernels for {archs}.
# Made by `mambaops plan --profile {profile} --script`; run it in an empty folder.
set -eu
ENV={env}
PY="$ENV/bin/python"
"""


def to_script(case: Case) -> str:
    """The whole script; it passes shellcheck."""
    choice = case.choice
    head = HEAD.format(
        title=case.profile.title,
        name=case.profile.name,
        profile=shlex.quote(case.flags.profile or case.profile.name),
        python=choice.python,
        torch=choice.torch_version,
        archs=";".join(choice.archs) or "no GPU",
        env=shlex.quote(case.situation.env),
    )
    return head + "".join(_section(case, one) for one in instances(all_steps(), case))


def _section(case: Case, instance: Instance) -> str:
    verdict, lines = instance.judge(case), instance.script(case)
    title = f"\n# {instance.id}: {verdict.status} - {_comment(verdict.reason)}\n"
    if verdict.hint:
        title += f"# hint: {_comment(verdict.hint)}\n"
    if not lines:
        return title
    if verdict.status == "done":
        lines = [f"# {line}" for line in lines]
    return title + "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    return text.replace("\n", "\n#   ")
