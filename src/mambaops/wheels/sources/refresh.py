"""The tables of promised wheels held against their sources: what appeared, what is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from mambaops.core.errors import MambaopsError
from mambaops.knowledge.addresses import addresses
from mambaops.knowledge.packages import published
from mambaops.wheels.candidates import Candidate
from mambaops.wheels.names import parse_wheel_name
from mambaops.wheels.sources.index import Index
from mambaops.wheels.sources.planned import planned
from mambaops.wheels.sources.seen import read_releases, releases_of, remember

Say = Callable[[str], None]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One address against the table.

    Attributes:
        date: ISO 8601. promised, listed: how many files the table and the address name.
        appeared: names that the table lacks. missing: names that it promises and the address lacks.
    """

    package: str
    source: str
    address: str
    date: str
    promised: int
    listed: int
    appeared: list[str]
    missing: list[str]


def refresh(packages: Iterable[str] = (), *, say: Say = lambda text: None) -> list[Difference]:
    """Read every source of promised wheels, keep what it lists with the date, and say what differs.

    Args:
        packages: names; none: all that somebody publishes wheels of.

    Raises:
        MambaopsError: not one address answered.
    """
    found: list[Difference] = []
    last: MambaopsError | None = None
    for package in list(packages) or published():
        for read in (_upstream, _astral):
            try:
                found += read(package)
            except MambaopsError as error:
                last = error
                say(f"{package}: left out: {error.message}")
    if not found and last is not None:
        raise MambaopsError(f"no source answered: {last.message}", hint=last.hint)
    return found


def _upstream(package: str) -> Iterator[Difference]:
    address = releases_of(package)
    if not address:
        return
    files = read_releases(package)
    listed = {url: name for name, url in files.items()}
    known = {one.url: one for one in planned(package) if one.source == "upstream"}
    promised = {url: f"v{one.tag}/{one.name}" for url, one in known.items() if not one.impossible}
    appeared = [name for url, name in listed.items() if url not in known]
    missing = [name for url, name in promised.items() if url not in listed]
    yield _told(package, "upstream", address, files, len(promised), appeared, missing)


def _astral(package: str) -> Iterator[Difference]:
    for tag in addresses().astral.tags:
        index = Index(addresses().astral.index.format(tag=tag), name="astral")
        address = index.address_of(package)
        files = {one.name: one.url for one in index.links(package)}
        listed = dict(_named(files))
        promised = {_what(one): one.name for one in planned(package) if one.url == address}
        appeared = [name for what, name in listed.items() if what not in promised]
        missing = [name for what, name in promised.items() if what not in listed]
        yield _told(package, "astral", address, files, len(promised), appeared, missing)


def _told(
    package: str,
    source: str,
    address: str,
    files: dict[str, str],
    promised: int,
    appeared: list[str],
    missing: list[str],
) -> Difference:
    """The difference, and what the address lists kept with its date."""
    return Difference(
        package=package,
        source=source,
        address=address,
        date=remember(address, files).date,
        promised=promised,
        listed=len(files),
        appeared=sorted(appeared),
        missing=sorted(missing),
    )


# version, torch, Python, processor: the platform's tag is known from the listing only
_What = tuple[str, str | None, str | None, str]


def _what(one: Candidate) -> _What:
    return one.version, one.torch, one.python, one.machine


def _named(files: Iterable[str]) -> Iterator[tuple[_What, str]]:
    from mambaops.wheels.candidates import from_name

    for name in files:
        try:
            yield _what(from_name(parse_wheel_name(name), "astral")), name
        except MambaopsError:
            continue
