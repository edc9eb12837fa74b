"""What was seen of the wheels that the tables only promise: read from their source, kept with the date.

`mambaops wheels refresh` and `--online` look; what they saw lies in the user's cache and counts from then on: a promise
that was seen is no promise any more, one that was not found is none, and what nobody promised is offered too.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

import msgspec
from msgspec.structs import replace

from mambaops.core.errors import MambaopsError
from mambaops.core.files import regular, write_bytes
from mambaops.core.paths import cache_dir
from mambaops.knowledge.addresses import addresses
from mambaops.knowledge.mirrors import mirrored
from mambaops.knowledge.packages import package as package_named
from mambaops.wheels.candidates import Candidate, from_name
from mambaops.wheels.names import parse_wheel_name
from mambaops.wheels.sources.index import Index

MOST_PAGES = 20  # a project with more than two thousand releases


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """The files that one address listed: name -> address. `date` is ISO 8601."""

    date: str
    files: dict[str, str]


class _Asset(msgspec.Struct, frozen=True):
    name: str
    browser_download_url: str


class _Release(msgspec.Struct, frozen=True):
    tag_name: str
    assets: list[_Asset]


def seen_file() -> Path:
    """Where listings are kept."""
    return cache_dir() / "seen.json"


def listings() -> dict[str, Listing]:
    """Address that was read -> what it listed; {} where nothing was read, or the file is broken."""
    try:
        return msgspec.json.decode(regular(seen_file()).read_bytes(), type=dict[str, Listing])
    except (OSError, MambaopsError, msgspec.MsgspecError):
        return {}


def remember(address: str, files: Mapping[str, str]) -> Listing:
    """Keep what an address lists today."""
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    listing = Listing(date=today, files=dict(files))
    write_bytes(seen_file(), msgspec.json.encode({**listings(), address: listing}))
    return listing


def releases_of(package: str) -> str:
    """The address that lists a package's upstream releases, first page; "" for one without."""
    return _releases_page(package, 1)


def _releases_page(package: str, page: int) -> str:
    found = package_named(package)
    if not found.wheels.release:
        return ""
    repository = "/".join(found.source.repository.rstrip("/").split("/")[-2:])
    return addresses().github.releases.format(repository=repository, page=page)


def read_releases(package: str) -> dict[str, str]:
    """Every file of every upstream release of a package: name -> address; of two with one name the newer release's.

    Raises:
        MambaopsError: the address does not answer, or not with releases.
    """
    found: dict[str, str] = {}
    for page in range(1, MOST_PAGES + 1):
        address = _releases_page(package, page)
        answer = Index(address, name="upstream").read(address)
        releases = _decoded(address, answer[2] if answer else "[]")
        if not releases:
            break
        for one in releases:
            for asset in one.assets:
                url = mirrored(unquote(asset.browser_download_url))
                found.setdefault(f"{one.tag_name}/{asset.name}", url)
    return {name: url for name, url in found.items() if name.endswith(".whl")}


def _decoded(address: str, text: str) -> list[_Release]:
    try:
        return msgspec.json.decode(text, type=list[_Release])
    except msgspec.MsgspecError as error:
        raise MambaopsError(f"{address} does not answer with releases: {error}") from error


def as_seen(
    package: str, source: str, promised: Iterable[Candidate], listing: Listing | None
) -> Iterator[Candidate]:
    """Promises held against what their address listed; all as they are where nobody looked."""
    if listing is None:
        yield from promised
        return
    left = dict.fromkeys(listing.files.values())
    for one in promised:
        if one.url in left:
            left.pop(one.url)
            yield replace(one, status="listed", seen=listing.date)
        elif one.impossible:
            yield one
        else:
            why = f"was planned, and is not among the files of its release (seen {listing.date})"
            yield replace(one, unusable=why)
    yield from _unpromised(package, source, left, listing)


def _unpromised(
    package: str, source: str, left: Iterable[str], listing: Listing
) -> Iterator[Candidate]:
    """What nobody had promised; names that mean nothing to us are left out."""
    for url in left:
        try:
            name = parse_wheel_name(url.rsplit("/", 1)[-1])
        except MambaopsError:
            continue
        if name.package == package:
            yield replace(from_name(name, source, url=url), seen=listing.date)
