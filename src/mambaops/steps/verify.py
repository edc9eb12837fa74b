"""The last step: proof, and a mark that this very environment has passed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mambaops.core.errors import MambaopsError
from mambaops.decide.case import Case
from mambaops.decide.verdict import Verdict, done, needed
from mambaops.steps.step import Step

if TYPE_CHECKING:
    from mambaops.state.places import Places
    from mambaops.steps.context import Context


def assess(case: Case) -> Verdict:
    """The environment passed `verify` since it was last changed."""
    situation = case.situation
    if situation.verified and situation.verified == situation.fingerprint:
        return done("this very environment has passed")
    if situation.verified:
        return needed("the environment was changed since it passed")
    return needed("imports, binaries, and results against a reference")


def act(context: Context, case: Case) -> None:
    """Run every check and remember the environment's fingerprint when it passes.

    Raises:
        MambaopsError: a check failed, or one that this machine could make was skipped.
    """
    from mambaops.verify.checks import report, verify

    result = verify(case, context.where.python, context.run.log("verify"))
    context.run.write("verify.json", result)
    for line in report(result):
        context.say(line)
    if not result.passed:
        bad = [c for c in result.checks if c.outcome == "failed" or c.id in result.required_skips]
        raise MambaopsError(
            "the environment is not proven: " + "; ".join(f"{c.id}: {c.reason}" for c in bad),
            hint=f"`mambaops diagnose --log {context.run.log('verify')}` names causes and remedies",
        )
    remember(context.where, case)


def remember(where: Places, case: Case) -> None:
    """Leave the mark that this very environment has passed; a change of it takes the mark's worth."""
    from mambaops.state.evidence import write_notes

    now = time.strftime("%Y-%m-%dT%H:%M:%S")
    write_notes(where.verified, {"fingerprint": case.situation.fingerprint, "when": now})


def script(case: Case) -> list[str]:
    modules = ["torch"]
    if case.choice.kernels:
        for name in case.packages:
            modules += case.described(name).modules.imports
    return [f'(cd / && "$PY" -c "import {", ".join(modules)}; print(torch.__version__)")']


STEP = Step(
    id="verify",
    help="Prove the environment: imports, places, binaries, and results where a GPU is.",
    assess=assess,
    act=act,
    script=script,
    after=("install-wheels",),
)
