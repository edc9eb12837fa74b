"""The table of sources (`knowledge/wheel_sources.toml`) as typed rows; what each means stands in its head."""

from __future__ import annotations

import functools

import msgspec

from mambaops.knowledge.tables import read


class AstralVersion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    package: str
    version: str
    torch_until: str


class AstralTorch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    torch: str
    python: list[str]
    x86_64: list[str]
    aarch64: list[str]
    platform: list[str]


class AstralPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    source: str
    version: list[AstralVersion]
    torch: list[AstralTorch]


class NamedSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    what: str


class Neighbour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    built: str
    runs: list[str]
    source: str


class NgcRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    package: str
    since: str


class OtherRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    source: str
    package: str
    name: str
    needs: str
    why: str


class WarningRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    package: str
    cuda: str
    capability: str
    text: str
    source: str


class Measured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    built_on: str
    glibcxx: str
    source: str


class WheelSources(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    source: list[NamedSource]
    neighbour: list[Neighbour]
    astral: AstralPlan
    ngc: list[NgcRow]
    other: list[OtherRow]
    warning: list[WarningRow]
    measured: list[Measured] = []


@functools.cache
def wheel_sources() -> WheelSources:
    """The table of sources."""
    return read("wheel_sources", WheelSources)


def ngc_image(torch_version: str) -> str | None:
    """The monthly image of NVIDIA's own torch, "25.08" of "2.8.0a0+34c6371d24.nv25.08", or None."""
    local = torch_version.partition("+")[2]
    image = local.rpartition("nv")[2] if "nv" in local else ""
    return ".".join(image.split(".")[:2]) if image[:2].isdigit() else None
