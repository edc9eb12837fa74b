"""Reads the data files of this package into frozen records, refusing unknown keys."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypeVar

import msgspec

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


def read(name: str, shape: type[T]) -> T:
    """The table `name`.toml beside this file as `shape`.

    Raises:
        msgspec.ValidationError: a row has another shape; the message names the key path.
    """
    with Path(__file__).with_name(f"{name}.toml").open("rb") as file:
        return msgspec.convert(tomllib.load(file), shape)
