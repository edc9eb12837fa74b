"""What setup.py needs beside torch: setuptools, wheel, packaging, ninja, as the profile bounds them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from mambaops.decide.case import Case
from mambaops.decide.environment import unsatisfied
from mambaops.decide.packages import compiles
from mambaops.decide.verdict import Verdict, done, needed
from mambaops.steps import install_headers
from mambaops.steps.install_headers import missing
from mambaops.steps.step import Step

if TYPE_CHECKING:
    from mambaops.steps.context import Context


def assess(case: Case) -> Verdict:
    """Everything that setup.py imports and runs is there."""
    # Python.h too, where a prebuilt wheel was hoped for and is not there
    absent = [*unsatisfied(case, case.build_requirements), *filter(None, [missing(case)])]
    return needed(", ".join(absent)) if absent else done("setup.py has what it needs")


def act(context: Context, case: Case) -> None:
    """Install what is missing; torch's own setuptools bound is in the profile's list."""
    if missing(case):
        install_headers.act(context, case)
    if absent := unsatisfied(case, case.build_requirements):
        context.pip(STEP.id, ["install", *absent])


def script(case: Case) -> list[str]:
    words = " ".join(shlex.quote(one) for one in case.build_requirements)
    return [f'"$PY" -m pip install {words}']


STEP = Step(
    id="prepare-build",
    help="Install what setup.py needs beside torch.",
    assess=assess,
    act=act,
    script=script,
    stands_on=("create-venv",),
    after=("install-toolkit",),
    wanted=compiles,
    only_to_compile=True,
)
