"""Doing, or taking back, some steps of what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mambaops.cli import output
from mambaops.cli.request import Request
from mambaops.cli.task import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mambaops.run.runner import Outcome, Run

# flags that only some steps look at
READ_BY = {
    "jobs": {"build-wheel", "install-kernels"},
    "sudo": {"install-toolkit"},
    "source": {
        "fetch-sources",
        "find-wheels",
        "patch-setup",
        "build-wheel",
        "install-kernels",
        "install-wheels",
    },
    "obtain": {"find-wheels", "build-wheel", "install-kernels", "install-wheels"},
}


def run_steps(request: Request, *only: str, **asked: bool) -> None:
    """The named steps, or all; with --json also what became of each. Errors as in `run.drive.drive`.

    Args:
        asked: fields of `Flags` that the command itself stands for.
    """
    import msgspec

    from mambaops.cli.flags import flags_of
    from mambaops.run.drive import drive

    flags = msgspec.structs.replace(flags_of(request), **asked)
    for flag in idle_flags(request, only):
        say(f"note: --{flag} changes nothing here: {', '.join(only)} does not look at it")
    outcome = drive(request.profile, flags, jobs=request.jobs, only=only, say=say, ask=_agreed)
    if output.WANTED.json:
        output.emit_json(run_document(outcome))


def run_part(request: Request, step: str) -> None:
    """One step of one package, beside the same step of others. Errors as in `run.runner.Run.all`."""

    run = _run_of(request)
    run.part = step.partition(":")[2]
    _told(run.all([step]))


def build_by_slurm(request: Request, packages: Sequence[str], *, partition: str) -> None:
    """Compile these packages by the cluster's Slurm. Errors as in `run.array.build`."""
    from mambaops.run.array import build

    _told(build(_run_of(request), packages, partition=partition, say=say))


def _run_of(request: Request) -> Run:
    """For wheels that are wanted themselves."""
    import msgspec

    from mambaops.cli.flags import flags_of
    from mambaops.profiles.load import load_profile
    from mambaops.run.runner import Run

    flags = msgspec.structs.replace(flags_of(request), wheel=True)
    return Run(load_profile(request.profile), flags, say, request.jobs)


def _told(outcome: Outcome) -> None:
    if not any(one.outcome == "done" for one in outcome.steps):
        say("nothing to do")
    if output.WANTED.json:
        output.emit_json(run_document(outcome))


def _agreed(question: str) -> bool:
    """The person's answer; no where nobody can be asked."""
    from mambaops.cli.confirm import confirm
    from mambaops.core.errors import MambaopsError

    try:
        confirm(question, yes=False)
    except MambaopsError as error:
        say(str(error))
        return False
    return True


def run_document(outcome: Outcome) -> dict[str, Any]:
    """What became of a run, as JSON: the same document for every command that runs steps."""
    import msgspec

    steps = msgspec.to_builtins(outcome.steps)
    about = {"profile": outcome.plan.profile, "folder": outcome.folder}
    return {"schema": "mambaops/run/1", **about, "steps": steps}


def idle_flags(request: Request, only: tuple[str, ...]) -> list[str]:
    """Flags that were given and that none of these steps, and none that they stand on, looks at."""
    from mambaops.plan.order import with_foundations
    from mambaops.steps import all_steps

    if not only:
        return []
    steps = {name.partition(":")[0] for name in with_foundations(only, all_steps())}
    return [flag for flag, by in READ_BY.items() if getattr(request, flag) and not steps & by]


def undo_step(request: Request, step: str) -> None:
    """Take back what one step did. Errors as in `run.drive.undo`."""
    from mambaops.cli.flags import flags_of
    from mambaops.run.drive import undo

    undo(request.profile, flags_of(request), step, say=say)


def renew_step(request: Request, step: str) -> None:
    """Do one step anew, in place of what is there. Errors as in `run.drive.renew`."""
    from mambaops.cli.flags import flags_of
    from mambaops.run.drive import renew

    renew(request.profile, flags_of(request), step, say=say)


def show_plan(request: Request) -> None:
    """What `--dry` shows instead of doing anything: the plan. Errors as in `run.planning.planned`."""
    from mambaops.cli.flags import flags_of
    from mambaops.report.plan_text import plan_text
    from mambaops.run.planning import planned

    _, found = planned(request.profile, flags_of(request))
    output.emit(found, as_json=output.WANTED.json, text=plan_text)
    say("--dry: nothing was done")
