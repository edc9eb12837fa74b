"""The packages of the system that a build needs: what is missing, and the command that installs it."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import msgspec

from mambaops.core.errors import MachineError
from mambaops.core.process import run, which
from mambaops.knowledge.tables import read


class Prerequisite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    any: list[str]
    rpm: str
    why: str


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    package: list[Prerequisite]


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """A package that is not installed, and what it is for."""

    name: str
    why: str


@functools.cache
def prerequisites() -> tuple[Prerequisite, ...]:
    return tuple(read("prerequisites", _Table).package)


def parse_dpkg(text: str) -> set[str]:
    """Installed packages from lines of `dpkg-query -W -f '${Package} ${db:Status-Status}\\n'`."""
    # e.g. "gcc installed", "libxml2 config-files"
    rows = (line.split() for line in text.splitlines())
    return {row[0] for row in rows if len(row) == 2 and row[1] == "installed"}


def missing_of(installed: set[str]) -> list[Missing]:
    """What of the table is not among `installed`. Pure."""
    return [
        Missing(name=item.any[0], why=item.why)
        for item in prerequisites()
        if not installed.intersection(item.any)
    ]


def check() -> list[Missing]:
    """What is missing here.

    Raises:
        MachineError: no dpkg on this system; the hint has the names for rpm.
    """
    if which("dpkg-query") is None:
        rpms = " ".join(item.rpm for item in prerequisites())
        raise MachineError(
            "this system has no dpkg-query: it is no Debian or Ubuntu",
            hint=f"where rpm is used: sudo dnf install {rpms}",
        )
    names = [name for item in prerequisites() for name in item.any]
    # unknown names make it exit 1; the known ones are printed all the same
    told = run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\\n", *names],
        check=False,
        timeout=30,
    )
    return missing_of(parse_dpkg(told.stdout))


def commands(missing: list[Missing]) -> list[list[str]]:
    """What installs them, without sudo. Pure."""
    names = [item.name for item in missing]
    return [["apt-get", "update"], ["apt-get", "install", "-y", *names]] if names else []
