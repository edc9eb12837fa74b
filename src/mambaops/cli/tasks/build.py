"""The main job: `build-mamba`, `plan`, `steps`, `profiles`."""

from __future__ import annotations

from mambaops.cli.call import gpu_of, pasted_plan, with_program
from mambaops.cli.output import emit_json
from mambaops.cli.request import Request, planning_task
from mambaops.cli.run_step import run_steps, show_plan
from mambaops.cli.task import Context, emit, put, task
from mambaops.core.errors import MachineError


@planning_task(
    "build-mamba",
    group="build",
    examples=(
        "mambaops build-mamba --arch 9.0",
        "mambaops build-mamba --profile wsl-5090",
    ),
    operand="profile",
    shows=show_plan,
)
def build_mamba(request: Request) -> None:
    """Bring this machine to a profile: look, choose, say what will be done, do it, prove it.

    Without a GPU and without --arch: an environment with a CPU torch and no kernels.
    """
    run_steps(request)


@planning_task(
    "plan",
    group="build",
    examples=(
        "mambaops plan --profile local --arch 9.0",
        "mambaops plan --profile local --script > by-hand.sh",
    ),
    operand="profile",
    shows=show_plan,
    excludes=(("script", "json"),),
    help={
        "facts": "plan for another machine: a file made by `mambaops facts --json`",
        "script": "print a shell script that does the same by hand",
        "json": "print JSON",
    },
)
def plan(request: Request, facts: str = "", script: bool = False, json: bool = False) -> int:
    """Show every step and why: what will be done, what is skipped, what is in the way. Changes nothing.

    Exit 4 where a step is blocked: the machine cannot satisfy the profile as it is.
    """
    from mambaops.cli.flags import flags_of
    from mambaops.plan.script import to_script
    from mambaops.report.plan_text import plan_text
    from mambaops.run.planning import planned

    case, found = planned(request.profile, flags_of(request), facts)
    if script:
        put(with_program(to_script(case)))
    else:
        emit(pasted_plan(found, gpu_of(case.facts)), as_json=json, text=plan_text)
    return MachineError.exit_code if found.with_status("blocked") else 0


@task(
    name="steps",
    group="develop",
    examples=(
        "mambaops steps",
        "mambaops steps --json",
    ),
    excludes=(("markdown", "json"),),
    help={"markdown": "as the table of the documentation", "json": "print JSON"},
)
def steps(c: Context, markdown: bool = False, json: bool = False) -> None:
    """The steps of every pipeline, in order; `mambaops --help STEP` explains one."""
    from mambaops.plan.order import ordered
    from mambaops.report.steps import steps_markdown, steps_text
    from mambaops.steps import all_steps

    found = ordered(all_steps())
    rows = [{"id": one.id, "help": one.help, "stands_on": one.stands_on} for one in found]
    shown = steps_markdown(found) if markdown else steps_text(found)
    emit(rows, as_json=json, text=lambda _: shown, rows="steps")


@task(
    name="profiles",
    group="build",
    examples=(
        "mambaops profiles",
        "mambaops profiles wsl-5090",
    ),
    operand="explain",
    excludes=(("schema", "explain"),),
    help={
        "explain": "each value of a profile with the reason for it",
        "schema": "the JSON schema, for editors",
        "json": "print JSON",
    },
)
def profiles(c: Context, explain: str = "", schema: bool = False, json: bool = False) -> None:
    """List the profiles, or explain one."""
    from mambaops.profiles.explain import explain as reasons
    from mambaops.profiles.explain import schema as schema_of
    from mambaops.profiles.load import load_profile, names
    from mambaops.report.plan_text import explained, listed

    if schema:
        emit_json(schema_of())
    elif explain:
        emit(reasons(load_profile(explain)), as_json=json, text=explained, rows="values")
    else:
        emit([load_profile(name) for name in names()], as_json=json, text=listed, rows="profiles")
