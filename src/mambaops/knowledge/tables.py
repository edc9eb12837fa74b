"""Reads the TOML tables that lie beside this file into frozen records, refusing unknown keys."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec
import tomli

from mambaops.core.errors import UsageError
from mambaops.core.files import regular
from mambaops.knowledge.mirrors import in_table

T = TypeVar("T")
FOLDER = Path(__file__).resolve().parent


def read(name: str, shape: type[T]) -> T:
    """The table `name`.toml as `shape`.

    Raises:
        msgspec.ValidationError: a row has another shape; the message names the key path.
    """
    return load_toml(FOLDER / f"{name}.toml", shape)


def load_toml(path: Path, shape: type[T]) -> T:
    """A TOML file as `shape`, its addresses mirrored.

    Raises:
        OSError: it cannot be read. ValueError: no TOML, or a row of another shape, with the key path.
    """
    with regular(path).open("rb") as file:
        try:
            return msgspec.convert(in_table(tomli.load(file)), shape)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None


class NoVersion(UsageError, ValueError):
    """A text in the place of a version: in facts that were written by hand, or by another program."""


def version_key(version: str) -> tuple[int, ...]:
    """Numbers of a dotted version, so that "12.10" sorts after "12.9", e.g. "535.104.12" → (535, 104, 12).

    Raises:
        NoVersion: a part is no number.
    """
    try:
        return tuple(int(part) for part in version.split("."))
    except ValueError:
        raise NoVersion(f"`{version!r}` is no version: numbers and dots are wanted") from None


def minor_of(version: str) -> str:
    """The first two numbers, e.g. "12.1.66" → "12.1", "2.8.0+cu128" → "2.8"."""
    return ".".join(version.split("+")[0].split(".")[:2])
