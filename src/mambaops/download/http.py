"""HTTP as a download needs it: one session, and every way to fail sorted into "again" or "no use".

requests brings proxies (`HTTPS_PROXY`, `NO_PROXY`, `.netrc`) and `REQUESTS_CA_BUNDLE`; truststore adds the
system's certificates, and with them `SSL_CERT_FILE` and the ones that a company installs.
"""

from __future__ import annotations

import email.utils
import os
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
import truststore
import urllib3
from requests.adapters import HTTPAdapter

from mambaops import __version__
from mambaops.core.errors import MambaopsError

CHUNK = 64 * 1024
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
STALLED = (requests.exceptions.Timeout, urllib3.exceptions.ReadTimeoutError)
BROKEN = (
    requests.exceptions.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.ProtocolError,
)
CARRIED_HINT = (
    "without a network, by way of a machine that has one:\n"
    "  here:  `mambaops facts --json > facts.json`\n"
    "  there: `mambaops bundle --facts facts.json --output carried.tar`\n"
    "  here:  `mambaops install-bundle carried.tar`"
)
OFFLINE_HINT = (
    f"{CARRIED_HINT}\n"
    "  or this file alone: `mambaops --help fetch-wheel` there, `mambaops --help install-wheel` here"
)
CERTIFICATE_HINT = (
    "a proxy of your company may sign for all sites: install its certificate into the system, or name it "
    "with `REQUESTS_CA_BUNDLE=/path/to/ca.pem`"
)
NO_USE_HINTS = {
    401: "the address wants a login: put it into ~/.netrc",
    403: "the server or a proxy forbids it: open the address in a browser to see why",
    404: "the file does not exist there: a wheel that was planned may never have been published. "
    "`mambaops select-wheel --all` lists the others",
    407: "the proxy wants a login: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT",
    410: "it was taken down: `mambaops select-wheel --all` lists the others",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long to go on. Times are seconds; `attempts` counts those in a row that brought nothing."""

    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 60.0
    longest_asked_wait: float = 300.0  # what a server may ask for with Retry-After
    connect: float = 15.0
    read: float = 60.0  # without a byte: a stall


class Again(Exception):
    """This attempt failed; another may not. `wait`: what the server asked for, in seconds."""

    def __init__(self, message: str, *, wait: float | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.wait = wait
        self.hint = hint


class Refused(MambaopsError):
    """The server answered, and another attempt would not change it. `status`: its HTTP status."""

    def __init__(self, message: str, *, status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status

    @property
    def is_missing(self) -> bool:
        """There is no such file, or no more."""
        return self.status in (404, 410)


class _SystemTrust(HTTPAdapter):
    """Certificates from the system, besides requests' own bundle."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=_context(), **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=_context(), **options)


def _context() -> ssl.SSLContext:
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def open_session(proxy: str | None = None) -> requests.Session:
    """A session with the system's certificates; proxies come from the environment, unless one is named."""
    session = requests.Session()
    if proxy:
        session.trust_env = False  # or the environment's proxy would win
        session.proxies = {"http": proxy, "https": proxy}
        session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
    session.headers["User-Agent"] = f"mambaops/{__version__}"
    # a server that packs the transfer breaks lengths and ranges; wheels are packed already
    session.headers["Accept-Encoding"] = "identity"
    session.mount("https://", _SystemTrust())
    return session


def get(
    session: requests.Session, url: str, headers: Mapping[str, str], patience: Patience
) -> requests.Response:
    """One GET whose body has not been read yet: status 200, 206 or 416.

    Raises:
        Again: time-out, reset, no connection, 429, 5xx, …
        Refused: an answer that another attempt would not change (404, 403, …).
        MambaopsError: no answer, for a lasting reason (a certificate, a wrong address).
    """
    try:
        response = session.get(
            url,
            headers=dict(headers),
            stream=True,
            timeout=(patience.connect, patience.read),
        )
    except requests.RequestException as error:
        raise _sorted(error, url, patience) from error
    if response.status_code in (200, 206, 416):
        return response
    response.close()
    raise _refused(response, url, patience)


def body(response: requests.Response, url: str, patience: Patience) -> Iterator[bytes]:
    """The body, piece by piece.

    Raises:
        Again: the connection broke, stalled, or ended before the promised length.
    """
    try:
        if "Content-Encoding" in response.headers:
            yield from response.iter_content(CHUNK)
            return
        # iter_content would throw away up to a whole piece when the connection breaks inside it
        while piece := response.raw.read1(CHUNK):
            yield piece
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _sorted(error, url, patience) from error


def masked(url: str) -> str:
    """The address without a password, and without the signature that redirects carry."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    user = "***@" if parts.username or parts.password else ""
    query = "…" if len(parts.query) > 80 else parts.query
    return urlunsplit((parts.scheme, f"{user}{host}{port}", parts.path, query, ""))


def _refused(response: requests.Response, url: str, patience: Patience) -> Exception:
    status = response.status_code
    what = f"{masked(url)} answers {status} {response.reason or ''}".rstrip()
    if status not in AGAIN:
        hint = NO_USE_HINTS.get(status, "check the address")
        return Refused(f"{what}; another try would not help", status=status, hint=hint)
    wait = retry_after(response.headers.get("Retry-After"))
    if wait is not None and wait > patience.longest_asked_wait:
        return Refused(
            f"{what} and asks to wait {wait:.0f} s",
            status=status,
            hint="run the same command again later",
        )
    return Again(what, wait=wait)


def retry_after(value: str | None) -> float | None:
    """Seconds to wait from a Retry-After header: a number, or a date (RFC 9110, 10.2.3)."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, when.timestamp() - time.time())


def _sorted(error: Exception, url: str, patience: Patience) -> Exception:
    """The error as `Again` or `MambaopsError`."""
    where, causes = masked(url), list(_causes(error))
    if any(isinstance(one, ssl.SSLCertVerificationError) for one in causes):
        return MambaopsError(
            f"the certificate of {where} is not trusted: {_innermost(error)}", hint=CERTIFICATE_HINT
        )
    if isinstance(error, requests.exceptions.ProxyError):
        # http.client tells the proxy's status in words only
        if "407" in str(causes[-1]):
            return MambaopsError(f"the proxy on the way to {where} refuses", hint=NO_USE_HINTS[407])
        return Again(
            f"the proxy on the way to {where} does not answer: {_innermost(error)}",
            hint="see HTTPS_PROXY, HTTP_PROXY and NO_PROXY",
        )
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Again(
            f"no answer from {where} within {patience.connect:g} s (connecting)", hint=OFFLINE_HINT
        )
    if any(isinstance(one, STALLED) for one in causes):
        return Again(f"{where} stalled: not a byte for {patience.read:g} s")
    if isinstance(error, BROKEN):
        return Again(f"no whole answer from {where}: {_innermost(error)}", hint=OFFLINE_HINT)
    return MambaopsError(
        f"{where} cannot be fetched: {_innermost(error)}", hint=_schema_hint(error)
    )


def _schema_hint(error: Exception) -> str:
    # requests has one class for this and for a wrong scheme
    if "SOCKS" in str(error):
        return "a SOCKS proxy needs one more package beside mambaops: `pip install requests[socks]`"
    return "an address starts with https://, http:// or file://"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what the libraries wrapped in it, the operating system's own last."""
    inner: BaseException | None = error
    seen: set[int] = set()
    while inner is not None and id(inner) not in seen:
        yield inner
        seen.add(id(inner))
        below = [getattr(inner, "reason", None), *inner.args, inner.__cause__, inner.__context__]
        inner = next((one for one in below if isinstance(one, BaseException)), None)


def _innermost(error: BaseException) -> str:
    """The operating system's own words, below what the libraries wrapped around them."""
    *_, inner = _causes(error)
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    # urllib3 puts the connection's repr in front: "HTTPSConnection(host=…): Failed to resolve …"
    return str(inner).rpartition(">: ")[2] or type(inner).__name__
