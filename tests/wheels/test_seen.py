"""What was seen of promised wheels: read over real HTTP, kept with its date, and judged by from then on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Handler, serve

from mambaops.core.errors import MambaopsError
from mambaops.knowledge import addresses, mirrors, packages
from mambaops.wheels.select.selection import select
from mambaops.wheels.sources import planned, seen
from mambaops.wheels.sources.index import Index
from mambaops.wheels.sources.listing import list_candidates
from mambaops.wheels.sources.planned import AstralIndexPlan, UpstreamPlan
from mambaops.wheels.sources.refresh import refresh

from .facts_of import machine

RELEASE = "https://github.com/state-spaces/mamba/releases/download"
THERE = "mamba_ssm-2.3.1+cu12torch2.8cxx11abiTRUE-cp311-cp311-linux_x86_64.whl"
NEW = "mamba_ssm-2.9.0+cu12torch2.8cxx11abiTRUE-cp311-cp311-linux_x86_64.whl"
ASTRAL = "mamba_ssm-2.3.2.post1+cu.12.8.torch.2.8-cp311-cp311-manylinux_2_27_x86_64.whl"
RELEASES = [
    {"tag_name": tag, "assets": [{"name": name, "browser_download_url": f"{RELEASE}/{tag}/{name}"}]}
    for tag, name in (("v2.9.0", NEW), ("v2.3.1", THERE.replace("+", "%2B")))
]
TABLES = (addresses.addresses, packages.packages, planned._upstream, planned._astral)


@pytest.fixture(autouse=True)
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """GitHub and Astral's index on the loopback address; what was asked for."""
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    with serve(b"", answer) as server:
        base = server.url("")
        mirrors.use({"https://api.github.com/": base, "https://wheels.astral.sh/": base})
        forget()
        yield [path for path, _ in server.requests]
        mirrors.use({})
        forget()


def forget() -> None:
    for table in TABLES:
        table.cache_clear()


def answer(handler: Handler) -> None:
    text, kind = "no", "text/plain"
    if "/repos/state-spaces/mamba/releases" in handler.path:
        text = json.dumps(RELEASES if handler.path.endswith("page=1") else [])
        kind = "application/json"
    elif handler.path == "/simple/cu128/mamba-ssm/":
        text, kind = f'<a href="/files/{ASTRAL}">{ASTRAL}</a>', "text/html"
    handler.head(404 if text == "no" else 200, Content_Length=len(text), Content_Type=kind)
    handler.wfile.write(text.encode())


def chosen() -> tuple[str, tuple[str, ...]]:
    here = machine()
    offered = list(UpstreamPlan().candidates("mamba-ssm", here))
    found = select("mamba-ssm", here, offered).chosen
    assert found is not None
    return found.name, found.notes


def test_before_anybody_looked_promises_count() -> None:
    assert chosen()[0] == THERE.replace("2.3.1", "2.3.2.post1")


def test_what_differs_from_the_table_is_said_with_the_date() -> None:
    said: list[str] = []
    upstream, *astral = refresh(["mamba-ssm"], say=said.append)
    assert said == []
    assert (upstream.source, upstream.listed) == ("upstream", 2)
    assert upstream.appeared == [f"v2.9.0/{NEW}"]
    assert f"v2.3.1/{THERE}" not in upstream.missing
    assert f"v2.3.2/{THERE}" in upstream.missing
    assert len(upstream.missing) == upstream.promised - 1
    assert len(upstream.date.split("-")) == 3
    of_128 = next(one for one in astral if "/cu128/" in one.address)
    assert (of_128.appeared, of_128.listed) == ([], 1)  # of another platform's tag, and the same
    assert len(of_128.missing) == of_128.promised - 1


def test_what_was_seen_counts_and_what_was_not_found_does_not() -> None:
    refresh(["mamba-ssm"])
    date = next(iter(seen.listings().values())).date
    name, notes = chosen()
    assert (name, notes) == (THERE, (f"seen on {date}",))
    offered = {one.url: one for one in UpstreamPlan().candidates("mamba-ssm", machine())}
    assert offered[f"{RELEASE}/v2.3.1/{THERE}"].unusable == ""
    assert offered[f"{RELEASE}/v2.9.0/{NEW}"].status == "listed"
    absent = offered[f"{RELEASE}/v2.3.2/{THERE}"].unusable
    assert absent == f"was planned, and is not among the files of its release (seen {date})"


def test_astrals_files_take_the_place_of_their_plan_for_that_cuda_alone() -> None:
    refresh(["mamba-ssm"])
    offered = list(AstralIndexPlan().candidates("mamba-ssm", machine()))
    assert [one.name for one in offered if one.cuda == "12.8"] == [ASTRAL]
    assert offered[-1].status == "listed"


def test_what_online_saw_is_kept() -> None:
    index = Index(addresses.astral_index("12.8") or "", name="astral")
    list_candidates("mamba-ssm", machine(), [index])
    assert list(seen.listings()) == [index.address_of("mamba-ssm")]
    assert ASTRAL in [one.name for one in AstralIndexPlan().candidates("mamba-ssm", machine())]


def test_a_package_of_nobody_has_no_releases() -> None:
    assert seen.releases_of("selective-scan") == ""
    assert refresh(["selective-scan"])[0].source == "astral"


def test_a_broken_memory_is_none() -> None:
    seen.seen_file().parent.mkdir(parents=True)
    seen.seen_file().write_text("{")
    assert seen.listings() == {}
    assert chosen()[0] == THERE.replace("2.3.1", "2.3.2.post1")


def test_no_source_answers() -> None:
    mirrors.use(
        {
            "https://api.github.com/": "http://127.0.0.1:9/",
            "https://wheels.astral.sh/": "http://127.0.0.1:9/",
        }
    )
    forget()
    said: list[str] = []
    with pytest.raises(MambaopsError, match="no source answered"):
        refresh(["mamba-ssm"], say=said.append)
    assert all(line.startswith("mamba-ssm: left out: ") for line in said)
    assert seen.listings() == {}
