"""Other places for the addresses of the tables: a company's mirror, one that is near, a folder. Pure.

Where an address begins with a prefix that is named, the prefix's mirror stands in its place; of several that
fit, the longest counts. The default package index is not here: pip and uv have settings for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_mirrors: dict[str, str] = {}
# says where a row comes from: a citation, which nothing is fetched from
CITED = "source"


def use(mirrors: Mapping[str, str]) -> None:
    """From now on these count (prefix -> what stands in its place); tables that were read before stay."""
    _mirrors.clear()
    _mirrors.update(mirrors)


def mirrored(address: str) -> str:
    """The address as it is to be fetched.

    e.g. "https://github.com/a/b" with {"https://github.com/": "https://mirror/gh/"} → "https://mirror/gh/a/b"
    """
    fitting = [prefix for prefix in _mirrors if address.startswith(prefix)]
    if not fitting:
        return address
    prefix = max(fitting, key=len)
    return _mirrors[prefix] + address[len(prefix) :]


def in_table(value: Any) -> Any:
    """A table with every address in it mirrored, citations left as they are."""
    if not _mirrors:
        return value
    if isinstance(value, str):
        return mirrored(value)
    if isinstance(value, list):
        return [in_table(one) for one in value]
    if isinstance(value, dict):
        return {
            key: one if key == CITED and isinstance(one, str) else in_table(one)
            for key, one in value.items()
        }
    return value
