"""What an address says: the file's name, and whether it lies on this machine."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from mambaops.core.errors import UsageError
from mambaops.download.http import masked


def file_name(url: str) -> str:
    """The last part of an address, percent-decoded (`%2B` is `+`).

    Raises:
        UsageError: it has none that can be a file name.
    """
    name = unquote(urlsplit(url).path).rpartition("/")[2] if "://" in url else Path(url).name
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise UsageError(f"`{masked(url)}` does not end in a file name", hint="give one: `--name`")
    return name


def checked(url: str) -> str:
    """The address itself.

    Raises:
        UsageError: it is none, e.g. `http://[`.
    """
    try:
        _ = urlsplit(url).port
    except ValueError as error:
        raise UsageError(f"`{url}` is no address: {error}") from error
    return url


def local_path(url: str) -> Path | None:
    """The path that a `file://` address or a plain path names; None for the network."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return None
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    if "://" in url:
        raise UsageError(
            f"`{masked(url)}` has the scheme `{parts.scheme}`",
            hint="https, http, file, or a path",
        )
    return Path(url).expanduser()
