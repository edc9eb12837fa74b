"""Runs a plan: check, act, look again; evidence; the finding when something fails.

Every step is judged again just before it acts (an earlier step may have changed what it depends on) and
once more afterwards: a command that exits 0 and changes nothing is an error.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mambaops.core.errors import Interrupted, MachineError, MambaopsError, StepDidNotTake
from mambaops.decide.assess import Case
from mambaops.decide.situation import Flags, Situation
from mambaops.facts.model import Facts
from mambaops.plan import Plan, Step, make_case, make_plan, step_functions, with_foundations
from mambaops.profiles.model import Profile
from mambaops.report.amounts import duration
from mambaops.state.evidence import RunLog
from mambaops.state.observe import observe
from mambaops.state.places import Places, places
from mambaops.steps import ACTS, act_of
from mambaops.steps.context import Context

Say = Callable[[str], None]


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one step."""

    step: str
    outcome: str  # "done before", "done", "failed"
    seconds: float = 0.0
    reason: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a run. `folder` is empty when there was nothing to do."""

    plan: Plan
    steps: list[Done]
    folder: str = ""


@dataclass
class Run:
    """One run of a profile. State: the situation changes with every step."""

    profile: Profile
    flags: Flags
    say: Say
    jobs: int = 0

    def __post_init__(self) -> None:
        self.where: Places = places(self.profile.name)
        self.machine: Facts | None = None
        self.done: list[Done] = []
        self.log: RunLog | None = None

    def situation(self) -> Situation:
        """Look at the machine (once) and the target environment (every time)."""
        found = observe(self.profile, self.flags, self.where, machine=self.machine)
        self.machine = found.facts
        return found

    def case(self) -> Case:
        return make_case(self.profile, self.situation(), self.flags)

    def all(
        self, only: Iterable[str] = (), *, announce: Callable[[Plan], None] | None = None
    ) -> Outcome:
        """Every step of the plan (or the named ones), in order.

        Args:
            announce: is shown the very plan that is run, before anything is done.

        Raises:
            MachineError: a step is blocked; nothing has been changed then.
            MambaopsError: a step failed.
        """
        with _locked(self.where):
            before = self.situation()
            plan = make_plan(self.profile, before, self.flags)
            if announce is not None:
                announce(plan)
            names = with_foundations(only)
            wanted = [step for step in plan.steps if not only or step.id in names]
            self._refuse_blocked(wanted)
            todo = [step for step in wanted if step.status == "needed"]
            if not todo:
                return Outcome(plan=plan, steps=[_before(step) for step in wanted])
            return self._steps(plan, wanted, before)

    def _refuse_blocked(self, steps: list[Step]) -> None:
        """Nothing is begun that cannot be finished."""
        blocked = [step for step in steps if step.status == "blocked"]
        if not blocked:
            return
        raise MachineError(
            "\n".join(f"{step.id}: {step.reason}" for step in blocked),
            hint="\n".join(f"{step.id}: {step.hint}" for step in blocked if step.hint),
        )

    def _steps(self, plan: Plan, steps: list[Step], before: Situation) -> Outcome:
        log = self.log = RunLog.begin(self.where.runs, self.profile.name)
        context = Context(
            profile=self.profile,
            flags=self.flags,
            where=self.where,
            run=log,
            say=self.say,
            jobs=self.jobs,
            packages=tuple(
                step.id.partition(":")[2] for step in steps if step.id.startswith("build-wheel:")
            ),
        )
        log.write("facts-before.json", before)
        log.write("plan.json", plan)
        try:
            for step in steps:
                self._step(context, step.id)
        except KeyboardInterrupt:
            raise self._interrupted(log) from None
        finally:
            outcome = Outcome(plan=plan, steps=self.done, folder=str(log.folder))
            log.write("outcome.json", outcome)
        log.write("facts-after.json", self.situation())
        return outcome

    def logs_of_failure(self) -> list[Path]:
        """Logs of the step that failed, newest last; empty when none did or it left none."""
        failed = [one.step for one in self.done if one.outcome == "failed"]
        if not failed or self.log is None:
            return []
        found = self.log.folder.glob(self.log.log(failed[-1].partition(":")[0]).stem + "*.log")
        return sorted(found, key=lambda path: path.stat().st_mtime)

    def _interrupted(self, log: RunLog) -> Interrupted:
        self.say("interrupted: what is whole is kept")
        return Interrupted(
            "stopped; the same command goes on from what is whole", hint=f"evidence: {log.folder}"
        )

    def _step(self, context: Context, name: str) -> None:
        case = self.case()
        found = [assess for step, assess in step_functions(case) if step == name]
        if not found:
            return  # an earlier step has made it unnecessary
        verdict = found[0](case)
        if verdict.status == "done":
            self.done.append(Done(step=name, outcome="done before", reason=verdict.reason))
            return
        if verdict.status == "blocked":
            raise MachineError(f"{name}: {verdict.reason}", hint=verdict.hint)
        if not is_step(name):
            return  # a check that depends on a later step; the step itself is judged again
        self.say(f"{name}: {verdict.reason}")
        started = time.monotonic()
        try:
            act_of(name)(context, case)
            self._look_again(name)
        except (MambaopsError, KeyboardInterrupt) as error:
            seconds = time.monotonic() - started
            self.done.append(
                Done(step=name, outcome="failed", seconds=round(seconds, 1), reason=str(error))
            )
            raise
        seconds = time.monotonic() - started
        self.say(f"{name}: done in {duration(seconds)}")
        self.done.append(Done(step=name, outcome="done", seconds=round(seconds, 1)))

    def _look_again(self, name: str) -> None:
        if name == "install-toolkit":
            self.machine = None  # the machine itself may have been changed
        case = self.case()
        for step, assess in step_functions(case):
            if step == name:
                verdict = assess(case)
                if verdict.status != "done":
                    raise StepDidNotTake(
                        f"{name} ended well, and yet: {verdict.reason}",
                        hint=verdict.hint or "`mambaops facts` shows what is there",
                    )


def _before(step: Step) -> Done:
    return Done(step=step.id, outcome="done before", reason=step.reason)


@contextlib.contextmanager
def _locked(where: Places) -> Iterator[None]:
    """One mambaops at a time on one profile's environment.

    Raises:
        MambaopsError: another one is at work, or the place cannot be written to.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(where.lock, timeout=0)
    try:
        where.lock.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise MambaopsError(
            f"another mambaops is working on profile `{where.profile}` in {where.root}",
            hint="wait for it, or work elsewhere: `export MAMBAOPS_HOME=/another/folder`",
        ) from None
    except OSError as error:
        raise MambaopsError(
            f"{where.root} cannot be written to: {error.strerror or error}",
            hint="name a folder of yours: `export MAMBAOPS_HOME=/a/folder/of/yours`",
        ) from error
    try:
        yield
    finally:
        lock.release()


def is_step(name: str) -> bool:
    """Is this the id of a step that does something?"""
    return name.partition(":")[0] in ACTS
