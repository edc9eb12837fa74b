"""Several machines looked at: `mambaops fleet hosts|facts|plan|doctor|report`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mambaops.cli.call import pasted, pasted_command
from mambaops.cli.fleet_task import FILE, HELP, as_kept, fleet_task, looked_at, now, status, wanted
from mambaops.cli.task import Context, emit
from mambaops.core.errors import MachineError

if TYPE_CHECKING:
    from mambaops.cli.documents import HostRow
    from mambaops.fleet.packset import FleetPlan


@fleet_task(
    "hosts",
    excludes=(("schema", "host"),),
    examples=("mambaops fleet hosts", "mambaops fleet hosts --schema"),
    help={**HELP, "schema": "the JSON schema of the file, for editors"},
)
def fleet_hosts(
    c: Context,
    host: Sequence[str] | None = None,
    file: str = FILE,
    schema: bool = False,
    json: bool = False,
) -> None:
    """Check hosts.yaml and list its machines; none is asked anything."""
    from mambaops.cli.output import emit_json
    from mambaops.fleet import load
    from mambaops.fleet.ssh import where

    if schema:
        emit_json(load.schema())
        return
    fleet, hosts = wanted(file, host)
    inside = {group: load.selected(fleet, [group]) for group in fleet.groups}
    rows = [
        {
            "host": name,
            "reached": f"ssh {where(name, one)}",
            "profile": one.profile,
            "groups": [group for group, names in inside.items() if name in names],
        }
        for name, one in hosts.items()
    ]
    emit(rows, as_json=json, text=_listed, rows="hosts")


def _listed(rows: Sequence[HostRow]) -> str:
    from mambaops.fleet.table import text_table

    titles = ("host", "reached by", "profile", "groups")
    cells = [
        (row["host"], row["reached"], row["profile"], ", ".join(row["groups"])) for row in rows
    ]
    return text_table(titles, cells)


@fleet_task(
    "facts",
    examples=("mambaops fleet facts", "mambaops fleet facts a800 --json"),
    help=HELP,
)
def fleet_facts(
    c: Context,
    host: Sequence[str] | None = None,
    file: str = FILE,
    jobs: int = 0,
    json: bool = False,
) -> int:
    """Look at several machines over SSH, side by side: driver, GPUs, Python, torch.

    Nothing is installed there: the probe goes into each machine's own Python (3.7 or newer). Host keys are checked. What
    was seen is kept under .mambaops/fleet. Exit status 1 where a machine could not be looked at; the others are.
    """
    from mambaops.fleet.table import facts_text

    fleet, hosts = wanted(file, host)
    seen, _ = looked_at(fleet, hosts, jobs)
    emit(seen, as_json=json, text=facts_text, rows="hosts")
    return status(one.outcome for one in seen)


@fleet_task(
    "plan",
    examples=("mambaops fleet plan", "mambaops fleet plan gpus --packs"),
    help={
        **HELP,
        "profile": "what all of them should become, whatever the file says",
        "packs": "also the smallest set of packs of kernels that serves all of them",
        "kept": "plan from the facts that `fleet facts` kept: no machine is asked",
    },
)
def fleet_plan(
    c: Context,
    host: Sequence[str] | None = None,
    file: str = FILE,
    profile: str = "",
    packs: bool = False,
    kept: bool = False,
    jobs: int = 0,
    json: bool = False,
) -> int:
    """Say for several machines what fits each, what is in the way, and what it would take. Changes nothing.

    With --packs also which kernels must be compiled, for which CUDA and architectures, so that each one is served.
    Exit status: 1 where a machine could not be looked at, else 4 where one cannot become what it should.
    """
    from mambaops.fleet.packset import FleetPlan, pack_set
    from mambaops.fleet.plan import plans, profiles_of
    from mambaops.fleet.table import fleet_text
    from mambaops.state import observe

    fleet, hosts = wanted(file, host)
    profiles = profiles_of(hosts, profile)
    seen, hosts = as_kept(hosts) if kept else looked_at(fleet, hosts, jobs)
    stored = observe.packs({})
    rows = plans(seen, hosts, profiles, packs=stored, profile=profile)
    found = FleetPlan(hosts=rows, packs=pack_set(rows, stored) if packs else None)
    emit(
        _with_commands(found) if json else found,
        as_json=json,
        text=lambda one: pasted(fleet_text(one)),
    )
    blocked = any(row.in_the_way for row in rows)
    return status(row.outcome for row in rows) or (MachineError.exit_code if blocked else 0)


def _with_commands(found: FleetPlan) -> FleetPlan:
    """The same with the packs' commands as this person types them."""
    from msgspec.structs import replace

    if found.packs is None:
        return found
    packs = [
        replace(one, command=pasted_command(one.command)) if one.command else one
        for one in found.packs.packs
    ]
    return replace(found, packs=replace(found.packs, packs=packs))


@fleet_task(
    "doctor",
    examples=("mambaops fleet doctor", "mambaops fleet doctor a800 --kept"),
    help={**HELP, "kept": "from the facts that `fleet facts` kept: no machine is asked"},
)
def fleet_doctor(
    c: Context,
    host: Sequence[str] | None = None,
    file: str = FILE,
    kept: bool = False,
    jobs: int = 0,
    json: bool = False,
) -> int:
    """Say for several machines what is wrong with each, and which command puts it right there.

    Exit status: 1 where a machine could not be looked at or something will fail on one, 4 where one never fits its profile.
    """
    from mambaops.fleet.doctor import examined
    from mambaops.fleet.plan import profiles_of
    from mambaops.fleet.table import doctor_text

    fleet, hosts = wanted(file, host)
    profiles = profiles_of(hosts)
    seen, hosts = as_kept(hosts) if kept else looked_at(fleet, hosts, jobs)
    rows = examined(seen, hosts, profiles)
    emit(rows, as_json=json, text=doctor_text, rows="hosts")
    return status(row.outcome for row in rows) or max(
        (row.exit_code or 0 for row in rows), default=0
    )


@fleet_task(
    "report",
    examples=("mambaops fleet report", "mambaops fleet report gpus -o gpus.html --masked"),
    help={
        **{key: HELP[key] for key in ("host", "file")},
        "output": "file to write (default: fleet.html)",
        "masked": "hide user names, home folders and secrets, for a page to hand to somebody",
        "json": "print where it is as JSON",
    },
)
def fleet_report(
    c: Context,
    host: Sequence[str] | None = None,
    file: str = FILE,
    output: str = "",
    masked: bool = False,
    json: bool = False,
) -> None:
    """Write one HTML page: each machine with what works, since when, and its findings. None is asked.

    From what `fleet facts` and `fleet verify` kept. The page needs no script and nothing from elsewhere.
    """
    from pathlib import Path

    from mambaops.diagnose.redaction import mask
    from mambaops.fleet.kept import with_nodes
    from mambaops.fleet.page import HEAD, page
    from mambaops.fleet.plan import profiles_of
    from mambaops.report.page.html import changing
    from mambaops.report.page.write import put

    _, hosts = wanted(file, host)
    hosts, profiles = with_nodes(hosts), profiles_of(hosts)
    with changing(texts=mask if masked else str):
        path = put(HEAD, lambda: page(hosts, profiles, now()), Path(output or "fleet.html"))
    emit(
        {"machines": len(hosts), "page": str(path)}, as_json=json, text=lambda row: str(row["page"])
    )
