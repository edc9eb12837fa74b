"""`MAMBAOPS_MIRRORS`: a TOML file with other places for the addresses that mambaops fetches from."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import msgspec

from mambaops.core.errors import UsageError
from mambaops.knowledge import mirrors
from mambaops.knowledge.tables import load_toml

VARIABLE = "MAMBAOPS_MIRRORS"
HINT = (
    'each line is `"https://download.pytorch.org/whl" = "https://mirror.example/whl"`: '
    "the beginning of an address, and what stands in its place (docs/offline.md)"
)


@functools.cache
def use_mirrors() -> None:
    """Let the user's mirrors count; done once, before any table is read.

    Raises:
        UsageError: the file is not there, or is no table of addresses.
    """
    file = os.environ.get(VARIABLE, "")
    if file:
        mirrors.use(_read(Path(file).expanduser()))


def _read(file: Path) -> dict[str, str]:
    try:
        found = load_toml(file, dict[str, str])
    except FileNotFoundError:
        raise UsageError(f"{VARIABLE} names `{file}`, which is not there", hint=HINT) from None
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise UsageError(f"{VARIABLE}: `{file}`: {error}", hint=HINT) from error
    for prefix, mirror in found.items():
        for address in (prefix, mirror):
            if not _scheme(address):
                raise UsageError(f"{VARIABLE}: `{file}`: `{address}` is no address", hint=HINT)
    return found


def _scheme(address: str) -> str:
    """ "https"; "" of what is no address."""
    from urllib.parse import urlsplit

    try:
        return urlsplit(address).scheme
    except ValueError:
        return ""
