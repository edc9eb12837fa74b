"""Several machines: `mambaops fleet …`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from mambaops.cli.call import pasted, pasted_command
from mambaops.cli.task import Context, emit, say, task
from mambaops.core.errors import MachineError, UsageError

if TYPE_CHECKING:
    from mambaops.cli.documents import HostRow
    from mambaops.fleet.gather import Seen
    from mambaops.fleet.job import Job
    from mambaops.fleet.model import Fleet, Host
    from mambaops.fleet.packset import FleetPlan

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
    emit(
        _with_commands(found) if json else found,
        as_json=json,
        text=lambda one: pasted(fleet_text(one)),
    )
    blocked = any(row.in_the_way for row in rows)
    return _status(row.outcome for row in rows) or (MachineError.exit_code if blocked else 0)


@task(
    name="fleet-doctor",
    verb="fleet doctor",
    group="fleet",
    operand="host",
    iterable=["host"],
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
    from mambaops.fleet import kept as evidence
    from mambaops.fleet.doctor import examined
    from mambaops.fleet.plan import profiles_of
    from mambaops.fleet.table import doctor_text

    fleet, hosts = _wanted(file, host)
    profiles = profiles_of(hosts)
    seen = evidence.kept(hosts) if kept else _seen(fleet, hosts, jobs)
    rows = examined(seen, hosts, profiles)
    emit(rows, as_json=json, text=doctor_text, rows="hosts")
    return _status(row.outcome for row in rows) or max(
        (row.exit_code or 0 for row in rows), default=0
    )


@task(
    name="fleet-build",
    verb="fleet build",
    group="fleet",
    operand="host",
    iterable=["host"],
    examples=("mambaops fleet build a800", "mambaops fleet build gpus --detach"),
    help={**HELP, "detach": "start it there and leave; `fleet attach` comes back to it"},
)
def fleet_build(
    c: Context,
    host: Sequence[str] | None = None,
    file: str = FILE,
    detach: bool = False,
    jobs: int = 0,
    json: bool = False,
) -> int:
    """Make several machines what they should become: carry what they need, start it there, follow it.

    A machine with `bundle` in hosts.yaml gets that, one with `mambaops` starts its own build-mamba, with the pack of kernels
    that serves it. It outlives the connection there; what was done before is not done again.
    """
    from mambaops.fleet import build
    from mambaops.fleet.packset import PackSet, pack_set
    from mambaops.fleet.plan import plans, profiles_of
    from mambaops.state import observe

    fleet, hosts = _wanted(file, host)
    if nothing := build.without_means(hosts):
        raise UsageError(
            f"nothing says how {', '.join(nothing)} would become anything",
            hint="give each in hosts.yaml a `bundle` (`mambaops bundle --help`), or `mambaops`: how it is started there",
        )
    own = {name: one for name, one in hosts.items() if not one.bundle}
    found = PackSet(packs=[], without={})
    if own:
        stored = observe.packs({})
        found = pack_set(
            plans(_seen(fleet, own, jobs), own, profiles_of(own), packs=stored), stored
        )
    rows = _left_alone(
        lambda: build.build(fleet, hosts, found, attach=not detach, jobs=jobs, say=say),
        fleet,
        hosts,
    )
    return _jobs_done(rows, json, running_is_fine=detach)


@task(
    name="fleet-attach",
    verb="fleet attach",
    group="fleet",
    operand="host",
    iterable=["host"],
    examples=("mambaops fleet attach", "mambaops fleet attach a800 --stop"),
    help={**HELP, "stop": "end what runs there"},
)
def fleet_attach(
    c: Context,
    host: Sequence[str] | None = None,
    file: str = FILE,
    stop: bool = False,
    jobs: int = 0,
    json: bool = False,
) -> int:
    """Come back to what `fleet build` started: its log from the beginning, until it ends."""
    from mambaops.fleet import build

    fleet, hosts = _wanted(file, host)
    if stop:
        return _jobs_done(build.stop(fleet, hosts, jobs=jobs), json)
    rows = _left_alone(lambda: build.attach(fleet, hosts, jobs=jobs, say=say), fleet, hosts)
    return _jobs_done(rows, json)


def _jobs_done(rows: list[Job], json: bool, *, running_is_fine: bool = False) -> int:
    from mambaops.fleet.table import jobs_text

    emit(rows, as_json=json, text=jobs_text, rows="hosts")
    good = ("ok", "running") if running_is_fine else ("ok",)
    return int(any(row.outcome not in good for row in rows))


def _left_alone(do: Callable[[], list[Job]], fleet: Fleet, hosts: dict[str, Host]) -> list[Job]:
    """Ctrl-C here asks whether it is to go on there; where nobody can be asked, it does."""
    from mambaops.cli.confirm import asked
    from mambaops.core import signals
    from mambaops.fleet import build

    try:
        return do()
    except KeyboardInterrupt:
        names = ", ".join(hosts)
        with signals.answered():
            if asked(f"end it on {names} as well (no: it goes on there)"):
                build.stop(fleet, hosts)
                say(f"it was ended on {names}")
            else:
                say(
                    f"it goes on there: `mambaops fleet attach {names.replace(',', '')}` comes back to it"
                )
        raise


@task(
    name="fleet-verify",
    verb="fleet verify",
    group="fleet",
    operand="host",
    iterable=["host"],
    examples=("mambaops fleet verify", "mambaops fleet verify a800 --json"),
    help=HELP,
)
def fleet_verify(
    c: Context,
    host: Sequence[str] | None = None,
    file: str = FILE,
    jobs: int = 0,
    json: bool = False,
) -> int:
    """Prove several machines' environments, each on its own machine, and keep what came out here.

    By the machine's own mambaops; where a bundle was installed without one, the imports alone, which is no whole proof.
    """
    import datetime

    from mambaops.fleet import build
    from mambaops.fleet.kept import keep_proofs
    from mambaops.fleet.table import proofs_text
    from mambaops.fleet.verify import verify

    fleet, hosts = _wanted(file, host)
    if nothing := build.without_means(hosts):
        raise UsageError(
            f"nothing says what {', '.join(nothing)} could prove itself with",
            hint="give each in hosts.yaml a `bundle`, or `mambaops`: how it is started there",
        )
    rows = verify(fleet, hosts, jobs=jobs)
    keep_proofs(rows, datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"))
    emit(rows, as_json=json, text=proofs_text, rows="hosts")
    return int(not all(row.passed for row in rows))


@task(
    name="fleet-diagnose",
    verb="fleet diagnose",
    group="fleet",
    operand="host",
    iterable=["host"],
    examples=("mambaops fleet diagnose", "mambaops fleet diagnose a800 --json"),
    help=HELP,
)
def fleet_diagnose(
    c: Context,
    host: Sequence[str] | None = None,
    file: str = FILE,
    jobs: int = 0,
    json: bool = False,
) -> int:
    """Read here why what `fleet build` started failed on several machines; the logs are kept.

    Exit status: 1 where a log shows a failure or cannot be read, else 3 where one shows neither, else 0.
    """
    from mambaops.diagnose.command import STATUS
    from mambaops.fleet.diagnose import diagnose
    from mambaops.fleet.table import diagnosed_text

    fleet, hosts = _wanted(file, host)
    rows = diagnose(fleet, hosts, jobs=jobs)
    emit(rows, as_json=json, text=diagnosed_text, rows="hosts")
    ends = [STATUS[row.found.diagnosis.verdict] if row.found else 1 for row in rows]
    return 1 if 1 in ends else max(ends, default=0)


@task(
    name="fleet-report",
    verb="fleet report",
    group="fleet",
    operand="host",
    iterable=["host"],
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
    import datetime
    from pathlib import Path

    from mambaops.diagnose.redaction import mask
    from mambaops.fleet.page import HEAD, page
    from mambaops.fleet.plan import profiles_of
    from mambaops.report.page.html import changing
    from mambaops.report.page.write import put

    _, hosts = _wanted(file, host)
    profiles = profiles_of(hosts)
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    with changing(texts=mask if masked else str):
        path = put(HEAD, lambda: page(hosts, profiles, now), Path(output or "fleet.html"))
    emit(
        {"machines": len(hosts), "page": str(path)}, as_json=json, text=lambda row: str(row["page"])
    )


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
