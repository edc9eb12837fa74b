"""What the tasks around the plan share: run a profile, say what happened, explain a failure."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from mambaops.core.amounts import duration
from mambaops.core.errors import Interrupted, MambaopsError
from mambaops.decide.packages import compiles
from mambaops.decide.situation import Flags
from mambaops.plan import Plan
from mambaops.profiles.load import load_profile
from mambaops.profiles.model import Profile
from mambaops.run.other_strategy import Ask, without_runtime
from mambaops.run.recovery import REMEDIES, apply, explain_failure, result_of
from mambaops.run.runner import Outcome, Run
from mambaops.state.remedies import Result, remember_tried
from mambaops.steps import all_steps
from mambaops.verify.model import Verification

Say = Callable[[str], None]


def drive(
    profile: str,
    flags: Flags,
    *,
    jobs: int = 0,
    only: tuple[str, ...] = (),
    say: Say,
    ask: Ask = lambda question: False,
) -> Outcome:
    """Run a profile's plan (or some steps of it) and tell the person what became of it.

    Args:
        ask: puts a question to the person, True for yes; by itself nobody can be asked.

    Raises:
        MambaopsError: as the runner; a failing step's log has been explained by then.
    """
    loaded = load_profile(profile)
    run = Run(loaded, as_asked(loaded, flags, only), say, jobs)
    started = time.monotonic()
    try:
        outcome = run.all(only, announce=lambda plan: _announce(plan, say, only))
    except Interrupted:
        raise  # nothing has failed, and nothing is tried again
    except MambaopsError:
        again = _second_try(run, only, say, ask)
        if again is None:
            raise
        outcome = again
    _conclude(run, outcome, time.monotonic() - started, only, say)
    return outcome


def as_asked(profile: Profile, flags: Flags, only: tuple[str, ...]) -> Flags:
    """A step of the source build that is asked for by itself is done, though the plan may need no nvcc at all."""
    known = {step.id: step for step in all_steps()}
    named = [known.get(one.partition(":")[0]) for one in only]
    if flags.obtain or not named or not all(one and one.wanted is compiles for one in named):
        return flags
    later = tuple(one for one in profile.obtain if one != "runtime")
    return msgspec.structs.replace(flags, obtain=later)


def _announce(plan: Plan, say: Say, only: tuple[str, ...] = ()) -> None:
    from mambaops.report.plan_text import plan_text

    if not only and (plan.with_status("needed") or plan.with_status("blocked")):
        say(plan_text(plan))
        return
    for note in plan.choice.notes:
        say(note)


def _second_try(run: Run, only: tuple[str, ...], say: Say, ask: Ask) -> Outcome | None:
    """What failed is explained, and tried once more after a remedy or with another strategy; None: neither helps."""
    remedied = apply(run, explain_failure(run, say), say)
    if not (remedied or without_runtime(run, ask, say)):
        return None
    say("trying once more")
    return _again(run, only, say, remedied)


def _again(run: Run, only: tuple[str, ...], say: Say, remedied: list[str]) -> Outcome:
    """The second and last try after remedies for these failures; what came of them is remembered."""
    step = run.done[-1].step
    run.done.clear()
    try:
        outcome = run.all(only)
    except MambaopsError:
        rules = explain_failure(run, say)
        _remember(run, step, {rule: result_of(rule, rules) for rule in remedied})
        raise
    _remember(run, step, dict.fromkeys(remedied, "helped"))
    return outcome


def _remember(run: Run, step: str, results: Mapping[str, Result]) -> None:
    for rule, result in results.items():
        name = REMEDIES[rule].name
        remember_tried(rule=rule, remedy=name, profile=run.profile.name, step=step, result=result)


def _conclude(run: Run, outcome: Outcome, seconds: float, only: tuple[str, ...], say: Say) -> None:
    acted = [step for step in outcome.steps if step.outcome == "done"]
    if not acted and only:
        say(f"nothing to do: {', '.join(only)} of profile `{run.profile.name}` done before")
    elif not acted:
        say(f"nothing to do: profile `{run.profile.name}` is complete ({duration(seconds)})")
    else:
        say(f"done in {duration(seconds)}; evidence: {outcome.folder}")
    choice = outcome.plan.choice
    if outcome.steps and outcome.steps[-1].step == "verify":
        say(f"environment: {run.where.env}   interpreter: {run.where.python}")
        if not choice.kernels and dict(run.profile.packages.items()):
            say(
                "no kernels were compiled: no GPU is visible and no --arch was given. "
                "To compile for one:\n"
                "  `mambaops build-mamba --arch 9.0`    "
                "(8.0 A100, 8.6 RTX 30, 8.9 RTX 40, 9.0 H100, 12.0 RTX 50)"
            )


def undo(profile: str, flags: Flags, step: str, *, say: Say) -> None:
    """Take back what one step of a profile did. Errors as in `Run.undo`."""
    Run(load_profile(profile), flags, say).undo(step)


def renew(profile: str, flags: Flags, step: str, *, say: Say) -> None:
    """Do one step of a profile anew. Errors as in `Run.renew`."""
    Run(load_profile(profile), flags, say).renew(step)


def verified(profile: str, flags: Flags) -> Verification:
    """Verify a profile's environment as it is, and remember that it passed.

    Raises:
        MambaopsError: there is no environment yet.
    """
    from mambaops.steps.verify import remember
    from mambaops.verify.checks import verify

    run = Run(load_profile(profile), flags, lambda line: print(line, file=sys.stderr))
    run.settle()
    case = run.case()
    if case.target is None:
        raise MambaopsError(
            f"there is no environment at {run.where.env}",
            hint="`mambaops build-mamba` makes it",
        )
    result = verify(case, Path(run.where.python))
    if result.passed:
        remember(run.where, case)
    return result
