"""What was seen of machines, kept under `.mambaops/fleet/HOST/`: for a plan without a look, and for the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from mambaops.core.files import write_bytes
from mambaops.core.paths import state_dir
from mambaops.facts.model import load
from mambaops.fleet.gather import Seen
from mambaops.fleet.model import Host


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
            text = msgspec.json.format(msgspec.json.encode(one.facts), indent=1)
            write_bytes(folder(one.host) / "facts.json", text)


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
