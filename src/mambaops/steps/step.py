"""What a step is: a module of this folder that says all of it, in one `STEP`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from mambaops.decide.case import Case
from mambaops.decide.packages import may_find_prebuilt, to_build
from mambaops.decide.verdict import Verdict, done

if TYPE_CHECKING:
    from mambaops.steps.context import Context


def _always(case: Case) -> bool:
    return True


class Step(Struct, frozen=True, kw_only=True):
    """One step of a pipeline. Its command, its place in the order and its row in the documentation come from here.

    Attributes:
        id: the file's name with dashes; also the name of its command.
        help: one sentence, for the command's help and the documentation.
        assess: done, needed or blocked, and why. Pure.
        act: does it; None for a check, which can only be done or blocked.
        script: the lines that do the same by hand, for `plan --script`. Pure.
        undo: takes back what `act` did; None where nothing can.
        renew: does it anew in place of what is there, which stays until the new one is whole.
        stands_on: steps without which this one is no use; run alone, it brings them along.
        after: steps that come before it where both are in a plan.
        wanted: does a plan for this case have the step at all?
        per_package: one instance for each package of the profile, `build-wheel:mamba-ssm`.
        only_to_compile: not needed where nothing has to be compiled.
        changes_machine: what the machine itself has may be another afterwards.
    """

    id: str
    help: str
    assess: Callable[[Case], Verdict]
    act: Callable[[Context, Case], None] | None = None
    script: Callable[[Case], list[str]] | None = None
    undo: Callable[[Context, Case], None] | None = None
    renew: Callable[[Context, Case], None] | None = None
    stands_on: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    wanted: Callable[[Case], bool] = _always
    per_package: bool = False
    only_to_compile: bool = False
    changes_machine: bool = False

    def instances(self, case: Case) -> list[Instance]:
        """The step as it stands in the plan of a case: once, once per package, or not at all."""
        if not self.wanted(case):
            return []
        if not self.per_package:
            return [Instance(self, "")]
        return [Instance(self, package) for package in case.packages]


class Instance(Struct, frozen=True):
    """A step of a plan; `package` is empty where the step is about all of them."""

    step: Step
    package: str

    @property
    def id(self) -> str:
        return f"{self.step.id}:{self.package}" if self.package else self.step.id

    def judge(self, case: Case) -> Verdict:
        """What the step says of this case."""
        if self.step.only_to_compile and not to_build(case):
            return done("nothing has to be compiled")
        verdict = self.step.assess(case.about(self.package))
        if self.step.only_to_compile and verdict.status == "blocked" and may_find_prebuilt(case):
            reason = f"only if no prebuilt wheel fits: {verdict.reason}"
            return Verdict(status="needed", reason=reason, hint=verdict.hint)
        return verdict

    def script(self, case: Case) -> list[str]:
        """The lines that do it by hand."""
        return self.step.script(case.about(self.package)) if self.step.script else []
