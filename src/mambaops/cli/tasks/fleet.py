"""Several machines: `mambaops fleet …`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mambaops.cli.call import pasted
from mambaops.cli.task import Context, emit, say, task
from mambaops.core.errors import MachineError

if TYPE_CHECKING:
    from mambaops.cli.documents import HostRow
    from mambaops.fleet.gather import Seen
    from mambaops.fleet.model import Fleet, Host

FILE = "hosts.yaml"
HELP = {
    "host": "machines or groups of the file; may be given several times (default: all)",
    "file": "the machines (default: ./hosts.yaml)",
    "jobs": "machines at once; 0: 32",
    "json": "print JSON",
}


def _wanted(file: str, words: Sequence[str] | None) -> tuple[Fleet, dict[str, Host]]:
    """Raises: UsageError: the file is wrong, or a word names nobody."""
    from pathlib import Path

    from mambaops.fleet.load import load_fleet, selected

    fleet = load_fleet(Path(file))
    return fleet, selected(fleet, words or (), file)


def _seen(fleet: Fleet, hosts: dict[str, Host], jobs: int) -> list[Seen]:
    from mambaops.fleet.gather import gather
    from mambaops.fleet.kept import keep

    seen = gather(fleet, hosts, jobs=jobs, say=say)
    keep(seen)
    return seen


def _status(outcomes: Iterable[str]) -> int:
    return int(any(one != "ok" for one in outcomes))


@task(
    name="fleet-hosts",
    verb="fleet hosts",
    group="fleet",
    operand="host",
    iterable=["host"],
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
    fleet, hosts = _wanted(file, host)
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


@task(
    name="fleet-facts",
    verb="fleet facts",
    group="fleet",
    operand="host",
    iterable=["host"],
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

    fleet, hosts = _wanted(file, host)
    seen = _seen(fleet, hosts, jobs)
    emit(seen, as_json=json, text=facts_text, rows="hosts")
    return _status(one.outcome for one in seen)


@task(
    name="fleet-plan",
    verb="fleet plan",
    group="fleet",
    operand="host",
    iterable=["host"],
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
    from mambaops.fleet import kept as evidence
    from mambaops.fleet.packset import FleetPlan, pack_set
    from mambaops.fleet.plan import plans, profiles_of
    from mambaops.fleet.table import fleet_text
    from mambaops.state import observe

    fleet, hosts = _wanted(file, host)
    profiles = profiles_of(hosts, profile)
    seen = evidence.kept(hosts) if kept else _seen(fleet, hosts, jobs)
    stored = observe.packs({})
    rows = plans(seen, hosts, profiles, packs=stored, profile=profile)
    found = FleetPlan(hosts=rows, packs=pack_set(rows, stored) if packs else None)
    emit(found, as_json=json, text=lambda one: pasted(fleet_text(one)))
    blocked = any(row.in_the_way for row in rows)
    return _status(row.outcome for row in rows) or (MachineError.exit_code if blocked else 0)
