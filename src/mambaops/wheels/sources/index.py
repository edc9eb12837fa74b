"""Candidates from an index: a simple index (PEP 503 pages, PEP 691 JSON) or one page of links."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from msgspec.structs import replace

from mambaops.core.errors import MambaopsError
from mambaops.facts.model import Facts
from mambaops.knowledge.packages import known, publishers_page
from mambaops.wheels.candidates import Candidate, from_name, unusable
from mambaops.wheels.names import parse_wheel_name

if TYPE_CHECKING:
    import requests

ACCEPT = (
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, "
    "text/html;q=0.1"
)
LONGEST_PAGE = 64 * 1024**2
TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A file that a page offers."""

    name: str
    url: str
    sha256: str | None = None
    size: int | None = None
    yanked: str | None = None  # the reason, "" without one; None: it is not


class Index:
    """A package index, read over HTTP.

    Args:
        address: of the index (`…/simple/cu128/`) or of a page with links to wheels.
        name: the source's name in verdicts.
        session: to fetch with; None: one with the system's certificates and proxies.
        pause: seconds before the second try, growing with each.
    """

    def __init__(
        self,
        address: str,
        name: str = "find-links",
        session: requests.Session | None = None,
        pause: float = 1.0,
    ) -> None:
        self.name = name
        self._address = address
        self._session = session
        self._pause = pause

    def candidates(self, package: str, facts: Facts) -> Iterable[Candidate]:
        """Every wheel that the index lists for a package.

        Raises:
            MambaopsError: the index does not answer, or with something that is no index.
        """
        return _candidates(self.links(package), package, self.name)

    def address_of(self, package: str) -> str:
        """Where the index lists a package; a page of links is that itself."""
        base = self._base()
        return base if base.endswith(".html") else urljoin(base, f"{package}/")

    def _base(self) -> str:
        return self._address if self._address.endswith((".html", "/")) else self._address + "/"

    def links(self, package: str) -> list[Link]:
        """The wheels of a package; [] where the index does not know it.

        Raises:
            MambaopsError: no answer, or no page of links.
        """
        address = self.address_of(package)
        page = self.read(address)
        if page is None and address != self._base():
            page = self.read(self._base())
        found = [] if page is None else parse_page(*page)
        return [link for link in found if link.name.endswith(".whl")]

    def read(self, url: str) -> tuple[str, str, str] | None:
        """(address after redirects, content type, text); None when it is not there.

        Raises:
            MambaopsError: no answer, after some tries.
        """
        from mambaops.download.http import Again, Patience, Refused, get, open_session

        session = self._session or open_session()
        for attempt in range(TRIES):
            try:
                response = get(session, url, {"Accept": ACCEPT}, Patience())
                break
            except Again as error:
                if attempt + 1 == TRIES:
                    raise MambaopsError(str(error), hint=error.hint) from error
                wait = self._pause * (attempt + 1) if error.wait is None else error.wait
                time.sleep(min(wait, 10.0))
            except Refused as error:
                if error.is_missing:
                    return None
                raise
        with response:
            text = _whole(response, url)
        return response.url, response.headers.get("Content-Type", ""), text


class PublishersPage:
    """The page on which a package's publisher lists wheels for one torch and CUDA, where there is one."""

    name = "publisher"

    def candidates(self, package: str, facts: Facts) -> Iterable[Candidate]:
        """Every wheel on the page for the torch that is installed.

        Raises:
            MambaopsError: the page does not answer.
        """
        found = known(package)
        if found is None or facts.torch is None:
            return []
        page = publishers_page(found, facts.torch.version, facts.torch.cuda)
        return Index(page, name=self.name).candidates(package, facts) if page else []


def parse_page(url: str, content_type: str, text: str) -> list[Link]:
    """The files of a page, from JSON or HTML.

    Raises:
        MambaopsError: it says JSON and is none, or not of an index.
    """
    if "json" not in content_type:
        reader = _Anchors(url)
        reader.feed(text)
        return reader.links
    import msgspec

    try:
        page = msgspec.json.decode(text)
        return [_from_json(url, row) for row in page["files"]]
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise MambaopsError(f"{url} does not answer like a package index: {error}") from error


class _Anchors(HTMLParser):
    """Collects `<a href="…/name.whl#sha256=…" data-yanked="…">`."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._base = url
        self.links: list[Link] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "base" and values.get("href"):
            self._base = urljoin(self._base, values["href"] or "")
        if tag != "a" or not values.get("href"):
            return
        url, fragment = urldefrag(urljoin(self._base, values["href"] or ""))
        # e.g. sha256=0f3c…
        algorithm, _, digest = fragment.partition("=")
        self.links.append(
            Link(
                name=unquote(urlsplit(url).path.rsplit("/", 1)[-1]),
                url=url,
                sha256=digest if algorithm == "sha256" else None,
                yanked=(values["data-yanked"] or "") if "data-yanked" in values else None,
            )
        )


def _from_json(url: str, row: Any) -> Link:
    yanked = row.get("yanked", False)
    return Link(
        name=str(row["filename"]),
        url=urljoin(url, str(row["url"])),
        sha256=row.get("hashes", {}).get("sha256"),
        size=row.get("size"),
        yanked=None if yanked is False else str(yanked if isinstance(yanked, str) else ""),
    )


def _candidates(links: Iterable[Link], package: str, source: str) -> Iterator[Candidate]:
    for link in links:
        try:
            name = parse_wheel_name(link.name)
        except MambaopsError as error:
            yield unusable(link.name, package, source, link.url, "listed", error.message)
            continue
        if name.package == package:
            listed = from_name(name, source, url=link.url, sha256=link.sha256, size=link.size)
            yield listed if link.yanked is None else replace(listed, unusable=_yanked(link.yanked))


def _yanked(reason: str) -> str:
    return f"it was yanked: {reason or 'no reason given'}"


def _whole(response: requests.Response, url: str) -> str:
    from mambaops.download.http import Again, Patience, body

    pieces, size = [], 0
    try:
        for piece in body(response, url, Patience()):
            pieces.append(piece)
            size += len(piece)
            if size > LONGEST_PAGE:
                raise MambaopsError(f"{url} is longer than {LONGEST_PAGE} bytes: no index page")
    except Again as error:
        raise MambaopsError(str(error), hint=error.hint) from error
    return b"".join(pieces).decode("utf-8", errors="replace")


def find_links(place: str, session: requests.Session | None = None) -> Any:
    """The source behind a `--find-links` value: a folder, or an address.

    Raises:
        MambaopsError: neither a folder that is there nor an http address.
    """
    from mambaops.wheels.sources.folder import Folder

    if place.startswith(("http://", "https://")):
        return Index(place, session=session)
    path = Path(unquote(urlsplit(place).path)) if place.startswith("file://") else Path(place)
    if not path.expanduser().is_dir():
        raise MambaopsError(
            f"`{place}` is neither a folder nor an address",
            hint="--find-links takes a folder of wheels, or http(s)://…/simple/",
        )
    return Folder(path.expanduser())
