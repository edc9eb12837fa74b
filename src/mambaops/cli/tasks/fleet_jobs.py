"""Several machines made ready: `mambaops fleet build|attach|verify|diagnose`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mambaops.cli.fleet_task import FILE, HELP, fleet_task, looked_at, now, wanted
from mambaops.cli.task import Context, emit, say
from mambaops.core.errors import UsageError

if TYPE_CHECKING:
    from mambaops.fleet.job import Job
    from mambaops.fleet.model import Fleet, Host


@fleet_task(
    "build",
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

    fleet, hosts = wanted(file, host)
    if nothing := build.without_means(hosts):
        raise UsageError(
            f"nothing says how {', '.join(nothing)} would become anything",
            hint="give each in hosts.yaml a `bundle` (`mambaops bundle --help`), or `mambaops`: how it is started there",
        )
    own = {name: one for name, one in hosts.items() if not one.bundle}
    found = PackSet(packs=[], without={})
    if own:
        stored = observe.packs({})
        seen, _ = looked_at(fleet, own, jobs, nodes=False)
        found = pack_set(plans(seen, own, profiles_of(own), packs=stored), stored)
    rows = _left_alone(
        lambda: build.build(fleet, hosts, found, attach=not detach, jobs=jobs, say=say),
        fleet,
        hosts,
    )
    return _jobs_done(rows, json, running_is_fine=detach)


@fleet_task(
    "attach",
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

    fleet, hosts = wanted(file, host)
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


@fleet_task(
    "verify",
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
    from mambaops.fleet import build
    from mambaops.fleet.kept import keep_proofs
    from mambaops.fleet.table import proofs_text
    from mambaops.fleet.verify import verify

    fleet, hosts = wanted(file, host)
    if nothing := build.without_means(hosts):
        raise UsageError(
            f"nothing says what {', '.join(nothing)} could prove itself with",
            hint="give each in hosts.yaml a `bundle`, or `mambaops`: how it is started there",
        )
    rows = verify(fleet, hosts, jobs=jobs)
    keep_proofs(rows, now())
    emit(rows, as_json=json, text=proofs_text, rows="hosts")
    return int(not all(row.passed for row in rows))


@fleet_task(
    "diagnose",
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

    fleet, hosts = wanted(file, host)
    rows = diagnose(fleet, hosts, jobs=jobs)
    emit(rows, as_json=json, text=diagnosed_text, rows="hosts")
    ends = [STATUS[row.found.diagnosis.verdict] if row.found else 1 for row in rows]
    return 1 if 1 in ends else max(ends, default=0)
