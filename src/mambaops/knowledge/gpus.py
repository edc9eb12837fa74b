"""Compute capability of a GPU by its name, for drivers that do not tell it."""

from __future__ import annotations

import functools
import re

import msgspec

from mambaops.knowledge.tables import read


class GpuRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    capability: str  # "8.6"
    names: list[str]  # as NVIDIA's page lists them
    unlisted: list[str]  # of the same chips, not on that page
    source: str


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    gpu: list[GpuRow]


@functools.cache
def gpu_rows() -> tuple[GpuRow, ...]:
    """Every capability that we know, newest first."""
    return tuple(read("gpus", _Table).gpu)


def capabilities() -> list[str]:
    """Every compute capability that a GPU we know has."""
    return [row.capability for row in gpu_rows()]


def capability_of(name: str) -> str | None:
    """Capability of e.g. "NVIDIA A800 80GB PCIe" → "8.0"; None for a name that we do not know."""
    words = _words(name)
    fitting = [
        (len(known), capability) for known, capability in _known() if _stands_in(known, words)
    ]
    return max(fitting)[1] if fitting else None


@functools.cache
def _known() -> tuple[tuple[tuple[str, ...], str], ...]:
    return tuple(
        (_words(name), row.capability) for row in gpu_rows() for name in row.names + row.unlisted
    )


def _words(name: str) -> tuple[str, ...]:
    """e.g. "Tesla V100-SXM2-16GB" → ("tesla", "v100", "sxm2", "16gb")."""
    return tuple(re.findall(r"[a-z0-9]+", name.lower()))


def _stands_in(known: tuple[str, ...], words: tuple[str, ...]) -> bool:
    span = len(known)
    return any(words[at : at + span] == known for at in range(len(words) - span + 1))
