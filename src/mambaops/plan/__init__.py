"""Facts and a profile make a plan: ordered steps, each done, needed or blocked, with its reason. Pure.

The plan is the dry run: it shows exactly what the runner would do, because the runner asks the same
functions (`plan.assess`).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

import msgspec

from mambaops.decide import assess as judge
from mambaops.decide.assess import Assess, Case, Verdict
from mambaops.decide.choice import Choice, check_flags, decide
from mambaops.decide.situation import Flags, Situation
from mambaops.profiles.model import Profile


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a plan. `command` is the Invoke task that does it alone."""

    id: str
    status: str
    reason: str
    hint: str
    command: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What will be done, in order, and the decisions behind it."""

    profile: str
    choice: Choice
    steps: list[Step]

    def with_status(self, status: str) -> list[Step]:
        return [step for step in self.steps if step.status == status]


def step_functions(case: Case) -> list[tuple[str, Assess]]:
    """(step id, its assessment) in the order in which the steps are done."""
    profile, kernels = case.profile, case.choice.kernels
    steps: list[tuple[str, Assess]] = [
        ("check-machine", judge.check_machine),
        ("check-space", judge.check_space),
        ("create-venv", judge.create_venv),
        ("install-torch", judge.install_torch),
    ]
    if kernels and judge.wants_prebuilt(case):
        steps.append(("find-wheels", judge.find_wheels))
    if kernels and "source" in judge.ways(case):
        steps += [
            ("check-compiler", _if_building(judge.check_compiler)),
            ("install-toolkit", _if_building(judge.install_toolkit)),
        ]
        steps.append(("prepare-build", _if_building(judge.prepare_build)))
        if profile.build.patch_cpp_extension:
            steps.append(("patch-cpp-extension", _if_building(judge.patch_cpp_extension)))
        steps += [
            ("fetch-sources", judge.fetch_sources),
            ("patch-setup", judge.patch_setup),
        ]
        steps += [
            (f"build-wheel:{name}", judge.build_wheel(name)) for name, _ in profile.packages.items()
        ]
    steps.append(("install-wheels", judge.install_wheels))
    steps.append(("verify", judge.verify))
    return steps


# what a step stands on; a step that is run alone brings these with it
STANDS_ON: dict[str, tuple[str, ...]] = {
    "install-torch": ("create-venv",),
    "find-wheels": ("install-torch",),
    "install-toolkit": ("check-compiler", "install-torch"),
    "prepare-build": ("create-venv",),
    "patch-cpp-extension": ("install-torch",),
    "fetch-sources": ("install-torch", "prepare-build"),
    "patch-setup": ("fetch-sources",),
    "build-wheel": ("check-space", "install-toolkit", "patch-cpp-extension", "patch-setup"),
}


def with_foundations(names: Iterable[str]) -> set[str]:
    """Step ids with everything that they stand on."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += STANDS_ON.get(name.partition(":")[0], ())
    return found


def _if_building(assess: Assess) -> Assess:
    """What only a compilation needs is done where nothing has to be compiled."""

    def assessed(case: Case) -> Verdict:
        if not judge.to_build(case):
            return judge.done("nothing has to be compiled")
        verdict = assess(case)
        if verdict.status == "blocked" and judge.may_find_prebuilt(case):
            reason = f"only if no prebuilt wheel fits: {verdict.reason}"
            return Verdict(status="needed", reason=reason, hint=verdict.hint)
        return verdict

    return assessed


def make_case(profile: Profile, situation: Situation, flags: Flags | None = None) -> Case:
    """The decisions for a situation, and everything that steps are judged by.

    Raises:
        UsageError: a flag that cannot be understood.
        MachineError: no torch of the profile fits the machine.
    """
    flags = flags or Flags()
    check_flags(flags, situation.facts)
    choice = decide(profile, situation.facts, flags, situation.target)
    return Case(profile=profile, choice=choice, flags=flags, situation=situation)


def make_plan(profile: Profile, situation: Situation, flags: Flags | None = None) -> Plan:
    """Every step with its status and reason. Errors as in `make_case`."""
    case = make_case(profile, situation, flags)
    steps = [_step(case, name, assess(case)) for name, assess in step_functions(case)]
    return Plan(profile=profile.name, choice=case.choice, steps=steps)


def _step(case: Case, name: str, verdict: Verdict) -> Step:
    return Step(
        id=name,
        status=verdict.status,
        reason=verdict.reason,
        hint=verdict.hint,
        command=command_of(case, name),
    )


def command_of(case: Case, name: str) -> str:
    """The command that does one step alone (a check: that explains it), with the flags that matter to it."""
    task, _, package = name.partition(":")
    if task.startswith("check-"):
        return shlex.join(["mambaops", "doctor", "--profile", case.profile.name])
    words = ["mambaops", task, "--profile", case.profile.name]
    words += ["--package", package] if package else []
    flags = case.flags
    if flags.arch:
        words += ["--arch", flags.arch]
    for flag, value in (("--torch", flags.torch), ("--python", flags.python)):
        words += [flag, value] if value else []
    for package, path in flags.source.items():
        words += ["--source", f"{package}={path}"]
    words += ["--cross"] if flags.cross else []
    words += ["--sudo"] if flags.sudo else []
    words += ["--obtain", ",".join(flags.obtain)] if flags.obtain else []
    return shlex.join(words)
