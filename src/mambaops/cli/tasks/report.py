"""`mambaops report`: a run as a page to look at."""

from __future__ import annotations

from pathlib import Path

from mambaops.cli.call import pasted_for
from mambaops.cli.task import Context, emit, task


@task(
    name="report",
    group="diagnose",
    examples=("mambaops report", "mambaops report 20261121-152301-local -o run.html --masked"),
    operand="run",
    help={
        "run": "the run: its folder, its name or the beginning of it (default: the latest)",
        "output": "file to write (default: report.html among the run's evidence)",
        "masked": "hide user names, home folders and secrets, for a page to hand to somebody",
        "json": "print where it is as JSON",
    },
)
def report(
    c: Context, run: str = "", output: str = "", masked: bool = False, json: bool = False
) -> None:
    """Write one HTML page of a run: timeline, plan, what was built and installed, proof, findings, facts.

    The page needs no script and nothing from elsewhere; it is readable on a phone, light and dark.
    """
    from mambaops.core.paths import state_dir
    from mambaops.diagnose.redaction import mask
    from mambaops.report.page.evidence import find, read
    from mambaops.report.page.html import changing
    from mambaops.report.page.write import write

    found = read(find(state_dir() / "runs", run))
    target = Path(output) if output else found.folder / "report.html"
    with changing(commands=pasted_for(found), texts=mask if masked else str):
        path = write(found, target)
    emit({"run": str(found.folder), "page": str(path)}, as_json=json, text=lambda row: row["page"])
