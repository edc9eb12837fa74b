"""When each table was last held against its sources, and how."""

from __future__ import annotations

import functools

import msgspec

from mambaops.knowledge.tables import read


class Checked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of facts. `date` is ISO 8601; `how` names the command or the test, or what a person read."""

    table: str  # file without its ending
    what: str
    date: str
    how: str
    source: str


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    checked: list[Checked]


@functools.cache
def checks() -> tuple[Checked, ...]:
    """Every fact that was held against its source, table by table."""
    return tuple(read("checked", _Table).checked)


def known_until() -> str:
    """The month up to which the tables go, "2026-11"."""
    return max(row.date for row in checks())[:7]
