"""A machine that is a cluster's login node: its partition's nodes, and what goes to them as jobs of Slurm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec.structs import replace

from mambaops.fleet import ssh
from mambaops.fleet.model import Host, Slurm
from mambaops.slurm.nodes import FORMAT, Node, in_partition, parse, partitions

SECONDS = 60.0
MINUTES = 10  # that a look may take on its node
OWN_GPUS = re.compile(r"--(gres|gpus)")


class Nodes(msgspec.Struct, frozen=True, kw_only=True):
    """The nodes of one partition as machines of their own, `NAME.NODE`, and why none of them can be asked.

    `away`: machine -> what Slurm says of a node that takes no jobs.
    """

    hosts: dict[str, Host]
    away: dict[str, str] = {}
    failed: ssh.Answer | None = None


def nodes(config: Path, name: str, host: Host) -> Nodes:
    """Ask the login node which nodes the partition has."""
    assert host.slurm is not None
    command = f"sinfo -h -N -o '{FORMAT}'"
    got = ssh.ask(config, name, host, command, timeout=SECONDS)
    if got.outcome != "ok":
        missing = got.status == ssh.NOT_FOUND
        said = replace(got, reason="there is no Slurm: no `sinfo` on PATH") if missing else got
        return Nodes(hosts={name: host}, failed=said)
    every = parse(got.stdout)
    found = [
        one
        for one in in_partition(every, host.slurm.partition)
        if host.slurm.node in ("", one.name)
    ]
    if not found:
        wanted = host.slurm.node or host.slurm.partition or "default partition"
        told = f"Slurm has no {wanted}; there are: {', '.join(partitions(every)) or 'none'}"
        return Nodes(
            hosts={name: host}, failed=ssh.Answer(outcome="failed", reason=told, hint="`sinfo`")
        )
    return Nodes(
        hosts={f"{name}.{one.name}": _as_host(host, host.slurm, one) for one in found},
        away={f"{name}.{one.name}": away(one) for one in found if not one.takes_jobs},
    )


def _as_host(host: Host, slurm: Slurm, node: Node) -> Host:
    """One GPU is asked for where it has any: all of them would wait until it is empty."""
    gpus = 1 if node.has_gpu else 0
    return replace(host, slurm=replace(slurm, node=node.name, gpus=gpus))


def away(node: Node) -> str:
    """Why a node takes no jobs, in Slurm's words."""
    return f"Slurm has it {node.state}" + (f": {node.reason}" if node.reason else "")


def in_job(host: Host, command: str, *, wait: float, minutes: int = MINUTES) -> str:
    """The command for the machine's shell, on a node where it is a cluster.

    Args:
        wait: seconds that it may wait for the node. minutes: that it may take there.
    """
    if host.slurm is None:
        return command
    first = f"srun --quiet --ntasks=1 --immediate={max(1, int(wait))} --time={minutes}"
    return " ".join([first, *words(host.slurm), command])


def words(slurm: Slurm) -> list[str]:
    """What srun and sbatch are told alike."""
    found = [f"--partition={slurm.partition}"] if slurm.partition else []
    found += [f"--nodelist={slurm.node}"] if slurm.node else []
    if slurm.gpus and not OWN_GPUS.search(slurm.options):
        found.append(f"--gres=gpu:{slurm.gpus}")
    return [*found, slurm.options] if slurm.options else found


def batch(host: Host) -> str:
    """sbatch's words for a job that is to outlive the connection; "" where the machine is no cluster."""
    return " ".join(["--ntasks=1", *words(host.slurm)]) if host.slurm else ""


def of_nodes(hosts: Mapping[str, Host], names: Mapping[str, list[str]]) -> dict[str, Host]:
    """The machines with each cluster in the place of its nodes of before, as they are kept."""
    found: dict[str, Host] = {}
    for name, host in hosts.items():
        slurm = host.slurm
        nodes = names.get(name, []) if slurm else []
        for node in nodes:
            assert slurm is not None
            found[f"{name}.{node}"] = replace(host, slurm=replace(slurm, node=node))
        if not nodes:
            found[name] = host
    return found
