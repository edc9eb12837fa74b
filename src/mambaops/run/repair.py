"""`diagnose --fix`: the remedy for the failure of a run of ours, shown, agreed to, applied, and tried.

Only what needs neither root nor the network is applied; everything else is left to the person, in words.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import msgspec

from mambaops.core.errors import MambaopsError
from mambaops.decide.situation import Flags
from mambaops.diagnose.explain import Explanation
from mambaops.diagnose.match import Diagnosis, Finding
from mambaops.plan import PlannedStep, plan_of
from mambaops.profiles.load import load_profile
from mambaops.run.recovery import AGREED, Remedy, explain_failure, result_of
from mambaops.run.runner import Run
from mambaops.state.remedies import Result, memory_file, remember_tried, tried

Say = Callable[[str], None]


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """What `--fix` did.

    Attributes:
        rule: the failure. remedy: what was applied for it, "" nothing. step: what was run again, "" nothing.
        result: what came of it, "" where nothing was run.
        left: what is left to the person.
    """

    rule: str = ""
    remedy: str = ""
    profile: str = ""
    step: str = ""
    result: str = ""
    left: list[str] = []

    @property
    def helped(self) -> bool:
        return self.result == "helped"


class Repaired(Diagnosis, frozen=True, kw_only=True):
    """A diagnosis with what was done about it."""

    repair: Repair

    @classmethod
    def of(cls, diagnosis: Diagnosis, repair: Repair) -> Repaired:
        return cls(**msgspec.structs.asdict(diagnosis), repair=repair)


class _Failed(msgspec.Struct, kw_only=True):
    step: str
    outcome: str


class _Outcome(msgspec.Struct, kw_only=True):
    steps: list[_Failed]


class _Flags(Flags, frozen=True, kw_only=True):
    jobs: int


def repair(log: Path | None, found: Explanation, *, ask: Callable[[str], None], say: Say) -> Repair:
    """Apply the remedy for what a log tells of, run the step again that failed, and remember what came of it.

    Args:
        ask: returns where the person agrees, raises where they do not.

    Raises:
        MambaopsError: they did not agree; nothing was changed then.
    """
    causes = [one for one in found.diagnosis.findings if not one.benign]
    if not found.diagnosis.failed or not causes:
        say("--fix: no failure that is known, and so nothing to apply")
        return Repair()
    asked = _run_of(log, say)
    if asked is None:
        say(
            "--fix: this is no log of a step that failed in a run of mambaops, so there is nothing to run "
            "again: follow the `do:` lines, then hand the new log to `mambaops diagnose`"
        )
        return Repair(rule=causes[0].rule, left=causes[0].fixes)
    run, step = asked
    chosen = _choose(run, step, causes, say)
    if chosen is None:
        say("--fix: nothing is applied: what helps needs root, the network or a decision")
        return Repair(rule=causes[0].rule, profile=run.profile.name, left=causes[0].fixes)
    cause, remedy = chosen
    ask(f"apply this, and run {step} of profile `{run.profile.name}` again")
    remedy.act(run, say)
    done = Repair(rule=cause.rule, remedy=remedy.name, profile=run.profile.name, step=step)
    return _tried(run, done, say)


def _run_of(log: Path | None, say: Say) -> tuple[Run, str] | None:
    """The run whose step left this log when it failed, as it was asked for, and the step; None: there is none."""
    if log is None:
        return None
    folder = log.absolute().parent
    try:
        outcome = msgspec.json.decode((folder / "outcome.json").read_bytes(), type=_Outcome)
        flags = msgspec.json.decode((folder / "flags.json").read_bytes(), type=_Flags)
        name = msgspec.json.decode((folder / "plan.json").read_bytes())["profile"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    failed = [one.step for one in outcome.steps if one.outcome == "failed"]
    if not failed or not log.name.startswith(failed[-1].partition(":")[0]):
        return None
    own = Flags(**{one: getattr(flags, one) for one in Flags.__struct_fields__})
    return Run(load_profile(flags.profile or name), own, say, flags.jobs), failed[-1]


def _choose(run: Run, step: str, causes: list[Finding], say: Say) -> tuple[Finding, Remedy] | None:
    """The first cause for which there is something to do that did not fail here before."""
    for cause in causes:
        remedy = AGREED.get(cause.rule)
        if remedy is None or not (lines := remedy.shows(run)):
            continue
        if _failed_before(run, step, cause.rule, remedy, say):
            continue
        say(f"remedy for {cause.rule}:\n" + "\n".join(f"  {line}" for line in lines))
        return cause, remedy
    return None


def _failed_before(run: Run, step: str, rule: str, remedy: Remedy, say: Say) -> bool:
    same = [
        one
        for one in tried(rule)
        if (one.remedy, one.profile, one.step) == (remedy.name, run.profile.name, step)
    ]
    for one in same[-1:]:
        say(f"remembered: {one}")
        if one.result == "did not help":
            say(f"it is not tried again (what is remembered stands in {memory_file()})")
            return True
    return False


def _tried(run: Run, done: Repair, say: Say) -> Repair:
    result = _again(run, done, say)
    told = remember_tried(
        rule=done.rule, remedy=done.remedy, profile=done.profile, step=done.step, result=result
    )
    say(f"remembered: {told}")
    return msgspec.structs.replace(done, result=result)


def _again(run: Run, done: Repair, say: Say) -> Result:
    """Run the step again; the runner itself looks whether it took."""
    try:
        run.all((done.step,))
        say(f"verified: {done.step} was judged once more after it ran, and is done")
        if [one.id for one in _needed(run)] == ["verify"]:
            run.all(("verify",))
            say("verified: the whole environment passes `verify`")
    except MambaopsError as error:
        say(f"failed again: {error}")
        return result_of(done.rule, explain_failure(run, say))
    left = [one.id for one in _needed(run)]
    if left:
        profile = shlex.quote(run.flags.profile or run.profile.name)
        say(f"left of the plan: {', '.join(left)}: `mambaops build-mamba --profile {profile}`")
    return "helped"


def _needed(run: Run) -> list[PlannedStep]:
    return plan_of(run.case()).with_status("needed")
