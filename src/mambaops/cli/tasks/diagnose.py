"""`mambaops diagnose`: a log in, its cause out."""

from __future__ import annotations

from pathlib import Path

from mambaops.cli.task import Context, emit, say, task


@task(
    name="diagnose",
    group="diagnose",
    examples=(
        "mambaops diagnose build.log",
        "pip install mamba-ssm 2>&1 | mambaops diagnose",
    ),
    operand="log",
    needs={"markdown": "list"},
    help={
        "log": "log file to read, - for stdin (default: stdin when piped, else the newest log of a run)",
        "facts": "facts of the machine that wrote the log (`mambaops facts --json`)",
        "here": "the log is of this machine: collect its facts",
        "json": "findings as JSON",
        "list": "print the catalogue instead",
        "markdown": "with --list: as a page, for the documentation",
        "report": "write a report to hand to somebody to this file (private data masked)",
        "plan": "with a report: file with the plan that was being carried out",
    },
)
def diagnose(
    c: Context,
    log: str = "",
    facts: str = "",
    here: bool = False,
    json: bool = False,
    list: bool = False,
    markdown: bool = False,
    report: str = "",
    plan: str = "",
) -> int:
    """Say what went wrong in a log: the cause, the remedy, and what does not help.

    Exit status: 0 no failure in the log, 1 a failure (recognised or not), 2 the log cannot be read.
    A failure that is not recognised also leaves a report to hand to somebody.
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
    known = command.facts_for(facts, here=here)
    path = command.log_path(log)
    found = command.explain(path, known)
    emit(found.diagnosis, as_json=json, text=lambda _: found.text())
    written = command.report(
        found, known, log=path, plan=plan, target=Path(report) if report else None
    )
    if written is not None:
        say(f"report to hand to somebody: {written}")
    return 1 if found.diagnosis.failed else 0
