"""What every `mambaops fleet …` has in common: its words, the machines that they name, and the look at those."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mambaops.cli.command import Command
from mambaops.cli.task import say, task

if TYPE_CHECKING:
    from mambaops.fleet.gather import Seen
    from mambaops.fleet.model import Fleet, Host

FILE = "hosts.yaml"
HELP = {
    "host": "machines or groups of the file; may be given several times (default: all)",
    "file": "the machines (default: ./hosts.yaml)",
    "jobs": "machines at once; 0: 32",
    "json": "print JSON",
}


def fleet_task(verb: str, **more: Any) -> Callable[[Callable[..., int | None]], Command]:
    """`task` for `mambaops fleet VERB [HOST…]`."""
    return task(
        name=f"fleet-{verb}",
        verb=f"fleet {verb}",
        group="fleet",
        operand="host",
        iterable=["host"],
        **more,
    )


def wanted(file: str, words: Sequence[str] | None) -> tuple[Fleet, dict[str, Host]]:
    """The fleet of the file, and those of it that the words name.

    Raises:
        UsageError: the file is wrong, or a word names nobody.
    """
    from pathlib import Path

    from mambaops.fleet.load import load_fleet, selected

    fleet = load_fleet(Path(file))
    return fleet, selected(fleet, words or (), file)


def looked_at(
    fleet: Fleet, hosts: dict[str, Host], jobs: int, *, nodes: bool = True
) -> tuple[list[Seen], dict[str, Host]]:
    """What the machines are now, kept; and which they are: with `nodes` a cluster's are in its place."""
    from mambaops.fleet.gather import gather
    from mambaops.fleet.kept import keep, keep_nodes

    seen, found = gather(fleet, hosts, jobs=jobs, nodes=nodes, say=say)
    keep(seen)
    keep_nodes(hosts, found)
    return seen, found


def as_kept(hosts: dict[str, Host]) -> tuple[list[Seen], dict[str, Host]]:
    """The same from what is kept; no machine is asked."""
    from mambaops.fleet.kept import kept, with_nodes

    found = with_nodes(hosts)
    return kept(found), found


def status(outcomes: Iterable[str]) -> int:
    """1 where a machine could not be looked at."""
    return int(any(one != "ok" for one in outcomes))


def now() -> str:
    """The time, as it is kept with what was proven and printed on the page: ISO 8601, UTC, to the second."""
    import datetime

    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
