"""The facts of several machines, side by side: the probe goes through ssh into each one's own Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

import msgspec

from mambaops.facts.collect import TOO_OLD, answer, piped_probe
from mambaops.facts.complete import complete
from mambaops.facts.model import Facts, decode
from mambaops.fleet import cluster, ssh
from mambaops.fleet.model import Fleet, Host

Say = Callable[[str], None]
T = TypeVar("T")
AT_ONCE = 32


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One machine as it was seen. `facts` is None where it was not; `reason` and `hint` say why."""

    host: str
    outcome: ssh.Outcome
    reason: str = ""
    hint: str = ""
    facts: Facts | None = None


def side_by_side(
    hosts: Mapping[str, Host], do: Callable[[str, Host], T], *, jobs: int = 0
) -> dict[str, T]:
    """`do` for every machine, so many at once; the results in the order of `hosts`.

    Ctrl-C ends what runs and starts nothing more.
    """
    pool = ThreadPoolExecutor(max_workers=max(1, min(jobs or AT_ONCE, len(hosts))))
    try:
        asked = {pool.submit(do, name, host): name for name, host in hosts.items()}
        found = {asked[one]: one.result() for one in as_completed(asked)}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return {name: found[name] for name in hosts}


def gather(
    fleet: Fleet,
    hosts: Mapping[str, Host],
    *,
    jobs: int = 0,
    nodes: bool = True,
    say: Say = lambda text: None,
) -> tuple[list[Seen], dict[str, Host]]:
    """What every machine is, and which those are. One that hangs, refuses or fails harms no other.

    Args:
        hosts: those of the fleet that are wanted. jobs: machines at once; 0: 32.
        nodes: a cluster becomes its nodes, each looked at by a job; else one node of it is looked at.

    Raises:
        MachineError: there is no ssh here.
    """
    program = piped_probe()
    with ssh.configured(fleet.ssh) as config:
        away: dict[str, Seen] = {}
        every = _with_nodes(config, hosts, away, jobs) if nodes else dict(hosts)

        def look(name: str, host: Host) -> Seen:
            seen = away.get(name) or look_at(config, name, host, program)
            say(f"{name}: {seen.reason or 'seen'}")
            return seen

        return list(side_by_side(every, look, jobs=jobs).values()), every


def _with_nodes(
    config: Path, hosts: Mapping[str, Host], away: dict[str, Seen], jobs: int
) -> dict[str, Host]:
    """The machines with each cluster's nodes in its place; `away` gets those that cannot be looked at."""
    clusters = {name: host for name, host in hosts.items() if host.slurm}
    if not clusters:
        return dict(hosts)
    asked = side_by_side(clusters, lambda name, host: cluster.nodes(config, name, host), jobs=jobs)
    for name, found in asked.items():
        if found.failed is not None:
            got = found.failed
            away[name] = Seen(host=name, outcome=got.outcome, reason=got.reason, hint=got.hint)
        for node, why in found.away.items():
            hint = f"`ssh {ssh.where(name, hosts[name])} sinfo -R` says who took it away, and when"
            away[node] = Seen(host=node, outcome="unreachable", reason=why, hint=hint)
    return {
        one: inner
        for name, host in hosts.items()
        for one, inner in (asked[name].hosts if name in asked else {name: host}).items()
    }


def look_at(config: Path, name: str, host: Host, program: str) -> Seen:
    """One machine's facts, by `program` (the probe) on the standard input of its Python."""
    command = cluster.in_job(host, f"{host.python} -", wait=host.timeout / 2)
    got = ssh.ask(config, name, host, command, stdin=program, timeout=host.timeout)
    if got.outcome == "failed":
        return _no_python(name, host, got)
    if got.outcome != "ok":
        return Seen(host=name, outcome=got.outcome, reason=got.reason, hint=got.hint)
    text = answer(got.stdout)
    try:
        return Seen(host=name, outcome="ok", facts=complete(decode(text)))
    except msgspec.MsgspecError as error:
        said = ssh.plain(text)[:120] or "nothing"
        reason = f"`{host.python}` printed no facts ({error}), but: {said}"
        return Seen(host=name, outcome="failed", reason=reason, hint=_try(name, host))


def _no_python(name: str, host: Host, got: ssh.Answer) -> Seen:
    reason, hint = got.reason, _try(name, host)
    if host.slurm and "srun: error: Unable" in got.stderr:
        reason = f"Slurm gave it no job within {host.timeout / 2:g} s ({ssh.last_line(got.stderr)})"
        hint = f"`hosts.NAME.timeout` in hosts.yaml lets it wait longer; `ssh {ssh.where(name, host)} squeue`"
    elif got.status == ssh.NOT_FOUND:
        reason = f"there is no `{host.python}` ({ssh.last_line(got.stderr)})"
        hint = f"name one in hosts.yaml: `hosts.{name}.python`; 3.7 or newer, nothing is installed there"
    elif got.status == TOO_OLD or "SyntaxError" in got.stderr:
        said = ssh.last_line(got.stderr).removeprefix("mambaops: ")
        reason = f"`{host.python}` is too old: {said}"
        hint = f"name another in hosts.yaml: `hosts.{name}.python`"
    return Seen(host=name, outcome="failed", reason=reason, hint=hint)


def _try(name: str, host: Host) -> str:
    return f"try `ssh {ssh.where(name, host)} '{host.python} --version'`"
