"""One route to nvcc: its commands, whether it may be taken, and what all routes need."""

from __future__ import annotations

import dataclasses
import functools
import shlex
from dataclasses import dataclass

import msgspec

from mambaops.facts.model import Facts
from mambaops.knowledge.tables import read


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One route to a toolkit.

    `commands` are written without sudo; `needs_root` says that they need it. `home` is where the toolkit
    then lies. `blocked` is why it cannot be taken (None: it can), `hint` what the person can do.
    """

    id: str  # "apt-network", "apt-local", "conda-env", "conda-micromamba", "runfile-system", "runfile-folder"
    needs_root: bool
    commands: list[list[str]]
    reason: str
    home: str
    blocked: str | None = None
    hint: str = ""

    @property
    def kind(self) -> str:
        """What a profile calls it: apt, conda or runfile."""
        return self.id.split("-")[0]


class DebLocal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    file: str
    address: str
    pin: str
    source: str


class Conda(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    packages: list[str]
    first: str
    source: str


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    deb_local: DebLocal
    apt_first: dict[str, str]
    conda: Conda


@functools.cache
def table() -> Table:
    """Packages, files and labels that the routes are made of."""
    return read("routes", Table)


def blocked(route: Route, why: str, hint: str) -> Route:
    """The same route, which this machine or its user may not take."""
    return dataclasses.replace(route, blocked=why, hint=hint)


def script(route: Route, facts: Facts) -> str:
    """The route's commands as lines to paste, with sudo where root is needed and we are not root."""
    front = "sudo " if route.needs_root and not facts.host.root else ""
    return "\n".join(f"  {front}{shlex.join(command)}" for command in route.commands)


def download(facts: Facts, address: str, file: str) -> list[str]:
    """Fetch, continuing what an earlier attempt left.

    Never into /tmp: what another user put there beforehand would be continued, and run as root.
    """
    if "wget" in facts.tools and "curl" not in facts.tools:
        return ["wget", "--continue", "--tries=5", "--output-document", file, address]
    return ["curl", "-fL", "--retry", "5", "-C", "-", "-o", file, address]
