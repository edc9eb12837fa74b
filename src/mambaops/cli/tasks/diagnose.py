"""`mambaops diagnose`: a log in, its cause out."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from mambaops.cli.call import gpu_of, pasted, pasted_explanation
from mambaops.cli.confirm import HELP, confirm
from mambaops.cli.task import Context, emit, say, task

if TYPE_CHECKING:
    from mambaops.diagnose.explain import Explanation


@task(
    name="diagnose",
    group="diagnose",
    examples=(
        "mambaops diagnose build.log",
        "pip install mamba-ssm 2>&1 | mambaops diagnose",
    ),
    operand="log",
    needs={"markdown": "list", "yes": "fix"},
    excludes=(("fix", "list"), ("fix", "facts"), ("fix", "report")),
    optional=("report",),
    help={
        "log": "log file to read, - for stdin (default: stdin when piped, else the newest log of a run)",
        "facts": "facts of the machine that wrote the log (`mambaops facts --json`)",
        "here": "the log is of this machine: collect its facts, read the compiled files that it names",
        "fix": "apply the remedy where that needs neither root nor the network, run the step again, say what came of it",
        "yes": HELP,
        "exit_code": "what the command that wrote the log ended with",
        "all": "also show harmless lines that are often blamed, and what follows from a cause",
        "json": "findings as JSON",
        "list": "print the catalogue instead",
        "markdown": "with --list: as a page, for the documentation",
        "report": "write a report to hand to somebody, to this file or among the runs (private data masked)",
        "plan": "with a report: file with the plan that was being carried out",
    },
)
def diagnose(
    c: Context,
    log: str = "",
    facts: str = "",
    here: bool = False,
    fix: bool = False,
    yes: bool = False,
    exit_code: str = "",
    all: bool = False,
    json: bool = False,
    list: bool = False,
    markdown: bool = False,
    report: str | bool = "",
    plan: str = "",
) -> int:
    """Say what went wrong in a log: the cause, the remedy, and what does not help.

    Exit status: 0 it succeeded, or recovered; 1 it failed (recognised or not); 2 the log cannot be read;
    3 cannot tell: neither a failure nor evidence of success.
    With --report: a report to hand to somebody, for what is not recognised.
    With --fix: 0 also where the remedy helped.
    """
    from mambaops.diagnose import catalogue, command, rules

    if list:
        text = catalogue.markdown() if markdown else catalogue.listing()
        emit(
            rules.load().rules if json else text,
            as_json=json,
            text=lambda value: str(value).rstrip(),
            rows="rules",
        )
        return 0
    here = here or fix
    known = command.facts_for(facts, here=here)
    path = command.log_path(log)
    code = command.exit_code(exit_code)
    found = pasted_explanation(command.explained(path, known, code, here=here), gpu_of(known))
    if fix:
        return _fixed(found, path, yes=yes, json=json, everything=all)
    emit(found.diagnosis, as_json=json, text=lambda _: found.text(everything=all, paste=pasted))
    if report:
        target = "" if report is True else str(report)
        written = command.report(found, known, log=path, plan=plan, target=target)
        say(f"report to hand to somebody: {written}")
    elif found.diagnosis.failed and not found.recognised:
        again = f"--log {shlex.quote(str(path))} --report" if path else "--report"
        same = "" if path else "the same pipe into "
        say(f"a report to hand to somebody: {same}`mambaops diagnose {again}`")
    return command.STATUS[found.diagnosis.verdict]


def _fixed(found: Explanation, log: Path | None, *, yes: bool, json: bool, everything: bool) -> int:
    """Say what failed, apply the remedy where the person agrees, and say what came of it."""
    from mambaops.diagnose import command
    from mambaops.run.repair import Repaired, repair

    if not json:
        emit(found, as_json=False, text=lambda one: one.text(everything=everything, paste=pasted))
    done = repair(log, found, ask=lambda question: confirm(question, yes=yes), say=say)
    if json:
        emit(Repaired.of(found.diagnosis, done), as_json=True, text=str)
    return 0 if done.helped else command.STATUS[found.diagnosis.verdict]
