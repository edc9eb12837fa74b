"""Images that wheels are built in and environments are carried in: `containers.toml`."""

from __future__ import annotations

import functools

import msgspec

from mambaops.knowledge.tables import read


class Containers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`images`: distribution -> base image. `python`: the image of a Python. `gpus`: runtime -> words that lend them."""

    images: dict[str, str]
    python: str
    packages: dict[str, list[str]]
    gpus: dict[str, list[str]]


@functools.cache
def containers() -> Containers:
    return read("containers", Containers)
