"""`mambaops doctor`: what is wrong with this machine, before anything is built."""

from __future__ import annotations

from mambaops.cli.call import pasted_fields
from mambaops.cli.task import Context, emit, say, task


@task(
    name="doctor",
    group="diagnose",
    examples=(
        "mambaops doctor",
        "mambaops doctor --profile wsl-5090 --network",
    ),
    operand="profile",
    needs={"sudo": "fix"},
    excludes=(("report", "json"),),
    help={
        "profile": "what the machine should become",
        "facts": "examine this file instead of this machine (`mambaops facts --json`)",
        "python": "the target interpreter (default: the one that the facts find)",
        "json": "checks as JSON",
        "report": "a block to paste into a question, private data masked",
        "network": "ask the resolver, the index and the addresses as well",
        "fix": "carry out the repairs that are safe, print the others, examine again",
        "sudo": "with --fix: allow those that need root",
    },
)
def doctor(
    c: Context,
    profile: str = "",
    facts: str = "",
    python: str = "",
    json: bool = False,
    report: bool = False,
    network: bool = False,
    fix: bool = False,
    sudo: bool = False,
) -> int:
    """Say what is wrong with this machine, and which command puts it right.

    Exit status: 0 fine (or warnings only), 1 something will fail, 4 this machine cannot satisfy the profile.
    """
    from mambaops.doctor import command, render
    from mambaops.doctor.examine import exit_code

    request = command.Request(profile=profile, facts=facts, python=python, network=network)
    checks = command.check(request)
    if fix:
        checks = command.repaired(request, checks, sudo=sudo, tell=say)
    checks = [pasted_fields(one, "cause", "remedy") for one in checks]
    shown = command.masked_report(checks) if report else render.text(checks)
    emit({"checks": checks, "exit_code": exit_code(checks)}, as_json=json, text=lambda _: shown)
    return exit_code(checks)
