"""What was seen of machines, kept under `.mambaops/fleet/HOST/`: for a plan without a look, and for the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from mambaops.core.files import write_bytes
from mambaops.core.paths import state_dir
from mambaops.facts.model import load
from mambaops.fleet.cluster import of_nodes
from mambaops.fleet.gather import Seen
from mambaops.fleet.model import Host
from mambaops.fleet.verify import Verified


def folder(host: str) -> Path:
    """Where the evidence of one machine lies."""
    return state_dir() / "fleet" / host


def keep(seen: Iterable[Seen]) -> None:
    """The facts of those that were seen, as `mambaops facts --json` prints them.

    Raises:
        MambaopsError: the folder cannot be written to, or the disk is full.
    """
    for one in seen:
        if one.facts is not None:
            _write(one.host, "facts.json", one.facts)


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """The last proof of a machine's environment; `since` is when it came out like this for the first time."""

    when: str
    since: str
    proof: Verified


def keep_proofs(proofs: Iterable[Verified], now: str) -> None:
    """What came out on the machines that could be asked. Errors as `keep`."""
    for one in proofs:
        if one.passed is not None:
            before = proof_of(one.host)
            same = before is not None and before.proof.passed == one.passed
            since = before.since if before and same else now
            _write(one.host, "verify.json", Proof(when=now, since=since, proof=one))


def proof_for(name: str, host: Host) -> Proof | None:
    """The same for a machine; a node without one of its own has that of its cluster: they share the environment."""
    node = host.slurm.node if host.slurm else ""
    return proof_of(name) or (proof_of(name.removesuffix(f".{node}")) if node else None)


def proof_of(host: str) -> Proof | None:
    """What is kept; None where there is nothing, or of another version of mambaops."""
    try:
        return msgspec.json.decode((folder(host) / "verify.json").read_bytes(), type=Proof)
    except (OSError, msgspec.MsgspecError):
        return None


def keep_nodes(hosts: Iterable[str], seen: Mapping[str, Host]) -> None:
    """Which nodes the clusters among `hosts` have; `seen`: the machines that were looked at. Errors as `keep`."""
    for name in hosts:
        nodes = [
            one.slurm.node
            for key, one in seen.items()
            if one.slurm and key == f"{name}.{one.slurm.node}"
        ]
        if nodes:
            _write(name, "nodes.json", nodes)


def with_nodes(hosts: Mapping[str, Host]) -> dict[str, Host]:
    """The machines with each cluster's nodes of the last look in its place; no machine is asked."""
    return of_nodes(hosts, {name: _nodes(name) for name, host in hosts.items() if host.slurm})


def _nodes(name: str) -> list[str]:
    try:
        return msgspec.json.decode((folder(name) / "nodes.json").read_bytes(), type=list[str])
    except (OSError, msgspec.MsgspecError):
        return []


def _write(host: str, name: str, value: object) -> None:
    text = msgspec.json.format(msgspec.json.encode(value), indent=1)
    write_bytes(folder(host) / name, text)


def kept(hosts: Mapping[str, Host]) -> list[Seen]:
    """What was seen of the machines last; no machine is asked."""
    return [_kept(name) for name in hosts]


def _kept(name: str) -> Seen:
    path = folder(name) / "facts.json"
    if not path.is_file():
        return Seen(
            host=name,
            outcome="failed",
            reason="no facts of it are kept",
            hint=f"`mambaops fleet facts {name}` looks at it",
        )
    return Seen(host=name, outcome="ok", facts=load(path))
