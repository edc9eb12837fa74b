"""Runs a plan: check, act, look again; evidence; the finding when something fails.

Every step is judged again just before it acts (an earlier step may have changed what it depends on) and
once more afterwards: a command that exits 0 and changes nothing is an error.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mambaops.core.amounts import duration
from mambaops.core.errors import (
    Interrupted,
    MachineError,
    MambaopsError,
    StepDidNotTake,
    UsageError,
)
from mambaops.core.signals import NAMES, number_of
from mambaops.decide.case import Case, make_case
from mambaops.decide.memory import Made, remembered
from mambaops.decide.situation import Flags, Situation
from mambaops.facts.model import Facts
from mambaops.plan import Plan, PlannedStep, plan_of
from mambaops.plan.order import instances, with_foundations
from mambaops.profiles.model import Profile
from mambaops.run.lock import locked
from mambaops.state.evidence import RunLog
from mambaops.state.memory import remember
from mambaops.state.observe import observe
from mambaops.state.places import Places, places
from mambaops.state.settle import settle
from mambaops.steps import all_steps
from mambaops.steps.context import Context
from mambaops.steps.step import Instance, Step

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
    """One run of a profile. State: the situation changes with every step.

    Attributes:
        jobs: compilers at once; 0: as the profile or the machine says.
        steps: the steps that there are.
        packages: those that it is about; none: all of the profile's.
        part: a package that is compiled beside others of the same profile: all that its build stands on is there.
    """

    profile: Profile
    flags: Flags
    say: Say
    jobs: int = 0
    steps: Sequence[Step] = ()
    packages: tuple[str, ...] = ()
    part: str = ""

    def __post_init__(self) -> None:
        self.steps = self.steps or all_steps()
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
        return self._case(self.situation())

    def _case(self, situation: Situation) -> Case:
        return make_case(self.profile, situation, self.flags, only=self.packages)

    def all(
        self,
        only: Sequence[str] = (),
        *,
        announce: Callable[[Plan], None] | None = None,
        only_ready: bool = False,
    ) -> Outcome:
        """Every step of the plan, or the named ones with what they stand on, for their packages alone, in order.

        Args:
            announce: is shown the very plan that is run, before anything is done.
            only_ready: what the named ones stand on is done, and not themselves.

        Raises:
            MachineError: a step is blocked; nothing has been changed then.
            MambaopsError: a step failed.
        """
        self.packages = packages_of(only)
        with self._alone():
            before = self.situation()
            plan = plan_of(self._case(before), steps=self.steps)
            if announce is not None:
                announce(plan)
            names = with_foundations(only, self.steps) - (set(only) if only_ready else set())
            wanted = [step for step in plan.steps if not only or step.id in names]
            _refuse_blocked(wanted)
            if self.part:
                self._refuse_unready([step for step in wanted if step.id not in only])
            if not any(step.status == "needed" for step in wanted):
                return Outcome(plan=plan, steps=[_before(step) for step in wanted])
            return self._run(plan, wanted, before)

    def undo(self, name: str) -> None:
        """Take back what one step did.

        Raises:
            UsageError: nothing can take it back, or what lies there is not ours.
        """
        step = next(one for one in self.steps if one.id == name)
        if step.undo is None:
            raise UsageError(f"`{name}` cannot be undone")
        with self._alone():
            log = RunLog.begin(self.where.runs, self.profile.name)
            step.undo(self._context(log), self.case())
            with contextlib.suppress(OSError):
                log.folder.rmdir()  # a folder without evidence says nothing

    def renew(self, name: str) -> None:
        """Do one step anew in place of what it did before, for the same architectures where none are named.

        Raises:
            MachineError: it cannot be done here; nothing has been changed then.
            MambaopsError: it failed; what was there before is there again.
        """
        step = next(one for one in self.steps if one.id == name)
        assert step.renew is not None
        with self._alone():
            there = self.situation()
            before = remembered(there.made, there.target)
            kept = Made(archs=before.archs, asked=before.asked) if before.archs else None
            case = self._case(msgspec.structs.replace(there, target=None, made=kept))
            for note in case.choice.notes:
                self.say(note)
            verdict = step.assess(case)
            if verdict.status == "blocked":
                raise MachineError(f"{name}: {verdict.reason}", hint=verdict.hint)
            log = RunLog.begin(self.where.runs, self.profile.name)
            try:
                step.renew(self._context(log), case)
            except KeyboardInterrupt as error:
                raise self._interrupted(log, number_of(error)) from None
            remember(self.where, case, name)

    def settle(self) -> None:
        """Finish or take back what an ended run had begun; a run that is under way is left alone.

        Raises:
            MambaopsError: another one is at work.
        """
        if self.where.kept.exists() or self.where.making.exists():
            with self._alone():
                pass

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else works on the profile, and what an ended run had begun is settled."""
        with locked(self.where, self.say, part=self.part):
            if not self.part:
                settle(self.where, self.say)
            yield

    def _refuse_unready(self, steps: list[PlannedStep]) -> None:
        """A part changes nothing that the parts beside it stand on."""
        acting = {step.id for step in self.steps if step.act is not None}
        needed = [one for one in steps if one.status == "needed" and one.id in acting]
        if needed:
            raise MachineError(
                "\n".join(
                    f"{one.id} is not done as seen from here: {one.reason}" for one in needed
                ),
                hint=f"every node must see {self.where.root}, with the same compiler and the same folders",
            )

    def _run(self, plan: Plan, steps: list[PlannedStep], before: Situation) -> Outcome:
        log = self.log = RunLog.begin(self.where.runs, self.profile.name)
        context = self._context(log)
        log.write("facts-before.json", before)
        log.write("plan.json", plan)
        log.write("flags.json", {**msgspec.to_builtins(self.flags), "jobs": self.jobs})
        try:
            for step in steps:
                self._step(context, step.id)
        except KeyboardInterrupt as error:
            raise self._interrupted(log, number_of(error)) from None
        finally:
            outcome = Outcome(plan=plan, steps=self.done, folder=str(log.folder))
            log.write("outcome.json", outcome)
        log.write("facts-after.json", self.situation())
        return outcome

    def _context(self, log: RunLog) -> Context:
        return Context(
            profile=self.profile,
            flags=self.flags,
            where=self.where,
            run=log,
            say=self.say,
            jobs=self.jobs,
        )

    def logs_of_failure(self) -> list[Path]:
        """Logs of the step that failed, newest last; empty when none did or it left none."""
        failed = [one.step for one in self.done if one.outcome == "failed"]
        if not failed:
            return []
        assert self.log is not None  # a step that fails has begun one
        found = self.log.folder.glob(self.log.log(failed[-1].partition(":")[0]).stem + "*.log")
        return sorted(found, key=lambda path: path.stat().st_mtime)

    def _interrupted(self, log: RunLog, number: int) -> Interrupted:
        self.say(f"{NAMES.get(number, 'stopped')}: what is whole is kept")
        return Interrupted(
            "stopped; the same command goes on from what is whole",
            hint=f"evidence: {log.folder}",
            number=number,
        )

    def _step(self, context: Context, name: str) -> None:
        case = self.case()
        instance = self._instance(case, name)
        if instance is None:
            return  # an earlier step has made it unnecessary
        verdict = instance.judge(case)
        if verdict.status == "done":
            self.done.append(Done(step=name, outcome="done before", reason=verdict.reason))
        elif verdict.status == "blocked":
            raise MachineError(f"{name}: {verdict.reason}", hint=verdict.hint)
        elif instance.step.act is not None:
            # a check that is needed depends on a later step, which is judged again itself
            self.say(f"{name}: {verdict.reason}")
            self._act(context, case, instance)

    def _act(self, context: Context, case: Case, instance: Instance) -> None:
        assert instance.step.act is not None
        started = time.monotonic()
        try:
            instance.step.act(context, case)
            remember(self.where, case, instance.step.id)
            self._look_again(instance)
        except (MambaopsError, KeyboardInterrupt) as error:
            self._record(instance.id, "failed", started, str(error))
            raise
        self.say(f"{instance.id}: done in {duration(time.monotonic() - started)}")
        self._record(instance.id, "done", started)

    def _record(self, name: str, outcome: str, started: float, reason: str = "") -> None:
        seconds = round(time.monotonic() - started, 1)
        self.done.append(Done(step=name, outcome=outcome, seconds=seconds, reason=reason))

    def _look_again(self, instance: Instance) -> None:
        if instance.step.changes_machine:
            self.machine = None
        case = self.case()
        found = self._instance(case, instance.id)
        verdict = found.judge(case) if found else None
        if verdict is not None and verdict.status != "done":
            raise StepDidNotTake(
                f"{instance.id} ended well, and yet: {verdict.reason}",
                hint=verdict.hint or "`mambaops facts` shows what is there",
            )

    def _instance(self, case: Case, name: str) -> Instance | None:
        return next((one for one in instances(self.steps, case) if one.id == name), None)


def packages_of(only: Iterable[str]) -> tuple[str, ...]:
    """The packages of steps that are named for one (`build-wheel:mamba-ssm`); none where one is about all."""
    named = [name.partition(":")[2] for name in only]
    return tuple(dict.fromkeys(named)) if all(named) else ()


def _refuse_blocked(steps: list[PlannedStep]) -> None:
    """Nothing is begun that cannot be finished."""
    blocked = [step for step in steps if step.status == "blocked"]
    if not blocked:
        return
    raise MachineError(
        "\n".join(f"{step.id}: {step.reason}" for step in blocked),
        hint="\n".join(f"{step.id}: {step.hint}" for step in blocked if step.hint),
    )


def _before(step: PlannedStep) -> Done:
    return Done(step=step.id, outcome="done before", reason=step.reason)
