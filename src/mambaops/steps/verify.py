"""The last step: proof, and a mark that this very environment has passed."""

from __future__ import annotations

import time

from mambaops.core.errors import MambaopsError
from mambaops.decide.assess import Case
from mambaops.state.evidence import write_notes
from mambaops.steps.context import Context
from mambaops.verify.checks import Verification, verify


def act(context: Context, case: Case) -> None:
    """Run every check and remember the environment's fingerprint when it passes.

    Raises:
        MambaopsError: a check failed, or one that this machine could make was skipped.
    """
    result = verify(case, context.where.python, context.run.log("verify"))
    context.run.write("verify.json", result)
    for line in report(result):
        context.say(line)
    if not result.passed:
        bad = [c for c in result.checks if c.outcome == "failed" or c.id in result.required_skips]
        raise MambaopsError(
            "the environment is not proven: " + "; ".join(f"{c.id}: {c.reason}" for c in bad),
            hint=f"`mambaops diagnose --log {context.run.log('verify')}` names causes and cures",
        )
    write_notes(
        context.where.verified,
        {"fingerprint": case.situation.fingerprint, "when": time.strftime("%Y-%m-%dT%H:%M:%S")},
    )


def report(result: Verification) -> list[str]:
    """One line per check, and the count; a skip is not counted as a pass."""
    lines = [
        f"  {check.outcome:8}{check.id}" + (f": {check.reason}" if check.reason else "")
        for check in result.checks
    ]
    count = {
        outcome: sum(check.outcome == outcome for check in result.checks)
        for outcome in ("ok", "failed", "skipped")
    }
    lines.append(f"{count['ok']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return lines
