"""Every step of a pipeline as a task of its own, made from the modules in `mambaops/steps/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mambaops.cli.confirm import HELP as CONFIRM
from mambaops.cli.confirm import confirm
from mambaops.cli.request import Request, planning_task
from mambaops.cli.run_step import (
    build_by_slurm,
    renew_step,
    run_part,
    run_steps,
    show_plan,
    undo_step,
)
from mambaops.cli.task import Command, emit
from mambaops.core.errors import UsageError
from mambaops.steps import all_steps
from mambaops.steps.step import Step

UNDO = "take back what the step did"


def _command(
    step: Step,
    *,
    operand: str = "profile",
    example: str = "",
    rules: Mapping[str, Any] | None = None,
    **help: str,
) -> Callable[[Callable[..., int | None]], Command]:
    """A step's command: its name, help and place in the list come from the step; `rules` are more of `planning_task`."""
    usual = f"mambaops {step.id} --profile local"
    other = f"mambaops {step.id} --profile wsl-5090 --arch 12.0"
    return planning_task(
        step.id,
        group="steps",
        examples=(usual, example or other),
        doc=step.help,
        operand=operand,
        help=help,
        shows=show_plan,
        **(rules or {}),
    )


def _plain(step: Step) -> Command:
    """A step that takes nothing but the common options."""

    def body(request: Request) -> None:
        run_steps(request, step.id)

    return _command(step)(body)


def _undoable(step: Step) -> Command:
    def body(request: Request, undo: bool = False) -> None:
        if undo:
            undo_step(request, step.id)
        else:
            run_steps(request, step.id)

    return _command(step, undo=UNDO)(body)


def _build_wheel(step: Step) -> Command:
    def body(
        request: Request,
        package: str = "",
        slurm: bool = False,
        partition: str = "",
        part: bool = False,
    ) -> None:
        from mambaops.cli.flags import check_package, packages_of

        if package and package not in packages_of(request):
            request = msgspec.structs.replace(request, add=[*request.add, package])
        # asked for by itself, a wheel is compiled, whatever the profile would rather do
        request = msgspec.structs.replace(request, obtain=request.obtain or "source")
        known = packages_of(request)
        names = [package if package in known else check_package(package)] if package else known
        if slurm:
            build_by_slurm(request, names, partition=partition)
        elif part:
            run_part(request, f"{step.id}:{names[0]}")
        else:
            run_steps(request, *(f"{step.id}:{name}" for name in names), wheel=True)

    rules = {
        "needs": {"partition": "slurm", "part": "package"},
        "excludes": (("slurm", "part"),),
    }
    example = f"mambaops {step.id} mamba-ssm --arch 9.0"
    return _command(
        step,
        operand="package",
        example=example,
        rules=rules,
        package="one of the packages, or a package file; default: all of the profile",
        slurm="by the cluster's Slurm: a task of one array for each package; the rest is made ready here",
        partition="of the cluster, for --slurm (default: SBATCH_PARTITION, else the cluster's own)",
        part="one package beside others of its profile, as the tasks of --slurm do: nothing else is done",
    )(body)


def _create_venv(step: Step) -> Command:
    def body(
        request: Request, recreate: bool = False, undo: bool = False, yes: bool = False
    ) -> None:
        if recreate and undo:
            raise UsageError("--recreate and --undo exclude each other")
        if recreate or undo:
            _ask(request, "replace" if recreate else "remove", yes=yes)
        if recreate:
            renew_step(request, step.id)
        elif undo:
            undo_step(request, step.id)
        else:
            run_steps(request, step.id)

    return _command(
        step,
        example="mambaops create-venv --recreate",
        recreate="make the environment anew; the old one goes when the new one is whole",
        undo="remove the environment",
        yes=CONFIRM,
    )(body)


def _ask(request: Request, what: str, *, yes: bool) -> None:
    """Only where there is something to lose."""
    from mambaops.profiles.load import load_profile
    from mambaops.state.places import places

    where = places(load_profile(request.profile).name)
    if where.env.exists():
        confirm(f"{what} {where.env}, with everything that is installed in it", yes=yes)


def _verify(step: Step) -> Command:
    def body(request: Request, json: bool = False) -> int:
        from mambaops.cli.flags import flags_of
        from mambaops.run.drive import verified
        from mambaops.verify.checks import report

        result = verified(request.profile, flags_of(request))
        emit(result, as_json=json, text=lambda one: "\n".join(report(one)))
        return 0 if result.passed else 1

    return _command(step, example="mambaops verify --json", json="print JSON")(body)


def _install_torch(step: Step) -> Command:
    """Named by itself it may replace a torch that somebody put there; brought along by another step it may not."""

    def body(request: Request) -> None:
        run_steps(request, step.id, replace_torch=True)

    return _command(step)(body)


# tasks that take more than the common options; those of `cli.tasks.patch` also work without a profile
OWN: dict[str, Callable[[Step], Command]] = {
    "build-wheel": _build_wheel,
    "create-venv": _create_venv,
    "install-torch": _install_torch,
    "verify": _verify,
}
ELSEWHERE = ("patch-setup", "patch-cpp-extension")


def _task(step: Step) -> Command:
    if step.id in OWN:
        return OWN[step.id](step)
    return _undoable(step) if step.undo else _plain(step)


def tasks() -> list[Command]:
    """One task for each step that does something."""
    return [_task(step) for step in all_steps() if step.act and step.id not in ELSEWHERE]
