"""Reading what is on offer: folders, the store, and an index over real HTTP on the loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from mambaops.core.errors import MambaopsError
from mambaops.store.store import Store
from mambaops.wheels.keys import BuildKey
from mambaops.wheels.select.confirm import select_confirmed
from mambaops.wheels.select.selection import select
from mambaops.wheels.sources.folder import Folder, StoreFolder
from mambaops.wheels.sources.index import Index, find_links, parse_page
from mambaops.wheels.sources.listing import exists, list_candidates, usual_sources

from .conftest import EXTENSION, UPSTREAM, Compile, make_wheel
from .facts_of import machine

ASTRAL = "mamba_ssm-2.3.2.post1+cu.12.8.torch.2.8-cp311-cp311-manylinux_2_28_x86_64.whl"
OTHER = "mamba_ssm-2.3.1+cu.12.8.torch.2.8-cp311-cp311-manylinux_2_28_x86_64.whl"
YANKED = "mamba_ssm-2.3.9+cu.12.8.torch.2.8-cp311-cp311-manylinux_2_28_x86_64.whl"
DIGEST = "a" * 64


class Pages(BaseHTTPRequestHandler):
    """A simple index in both forms, a page of links, and what servers do wrong."""

    tries: ClassVar[dict[str, int]] = {}
    json_too: ClassVar[bool] = True

    def do_GET(self) -> None:
        seen = Pages.tries[self.path] = Pages.tries.get(self.path, 0) + 1
        if self.path == "/simple/mamba-ssm/":
            self.index()
        elif self.path == "/flaky/mamba-ssm/" and seen < 3:
            self.answer(503, "text/plain", "later", {"Retry-After": "0"})
        elif self.path in ("/flaky/mamba-ssm/", "/links.html"):
            self.answer(200, "text/html", f'<a href="/files/{ASTRAL}">{ASTRAL}</a>')
        elif self.path == "/moved/mamba-ssm/":
            self.answer(301, "text/plain", "", {"Location": "/simple/mamba-ssm/"})
        elif self.path == "/wrong/mamba-ssm/":
            self.answer(200, "application/vnd.pypi.simple.v1+json", '{"nothing": 1}')
        elif self.path.startswith("/files/"):
            self.answer(200, "application/octet-stream", "x")
        else:
            self.answer(404, "text/plain", "no")

    def index(self) -> None:
        if Pages.json_too and "json" in self.headers.get("Accept", ""):
            files = [
                {
                    "filename": ASTRAL,
                    "url": f"/files/{ASTRAL}",
                    "hashes": {"sha256": DIGEST},
                    "size": 7,
                },
                {"filename": OTHER, "url": f"../../files/{OTHER}", "hashes": {}},
                {"filename": YANKED, "url": "x", "hashes": {}, "yanked": "wrong numbers"},
                {"filename": "mamba_ssm-2.3.1.tar.gz", "url": "x", "hashes": {}},
                {"filename": "mamba_ssm-2.3.1 (1).whl", "url": "x", "hashes": {}},
            ]
            page = {"meta": {"api-version": "1.1"}, "name": "mamba-ssm", "files": files}
            self.answer(200, "application/vnd.pypi.simple.v1+json", json.dumps(page))
            return
        links = "".join(
            f'<a href="{url}"{more}>{name}</a><br/>'
            for name, url, more in (
                (ASTRAL, f"/files/{ASTRAL.replace('+', '%2B')}#sha256={DIGEST}", ""),
                (OTHER, f"../../files/{OTHER}", ""),
                (YANKED, YANKED, ' data-yanked="wrong numbers"'),
            )
        )
        self.answer(200, "text/html; charset=utf-8", f"<!DOCTYPE html><body>{links}</body>")

    def answer(self, code: int, kind: str, text: str, more: dict[str, str] | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        for key, value in (more or {}).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    Pages.tries, Pages.json_too = {}, True
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.parametrize("json_too", [True, False])
def test_both_forms_of_an_index_say_the_same(server: str, json_too: bool) -> None:
    Pages.json_too = json_too
    links = Index(f"{server}/simple/").links("mamba-ssm")
    by_name = {link.name: link for link in links}
    assert {ASTRAL, OTHER, YANKED} <= set(by_name)
    assert by_name[ASTRAL].sha256 == DIGEST
    assert by_name[ASTRAL].url.startswith(f"{server}/files/mamba_ssm-2.3.2.post1")
    assert by_name[OTHER].url == f"{server}/files/{OTHER}"
    assert by_name[YANKED].yanked == "wrong numbers"
    assert not any(name.endswith(".tar.gz") for name in by_name)


def test_an_index_offers_candidates(server: str) -> None:
    facts = machine()
    selection = select(
        "mamba-ssm", facts, Index(f"{server}/simple/").candidates("mamba-ssm", facts)
    )
    assert selection.chosen is not None
    assert selection.chosen.name == ASTRAL
    assert selection.chosen.candidate.sha256 == DIGEST
    assert selection.chosen.candidate.size == 7
    assert not any("planned" in note for note in selection.chosen.notes)
    refused = {v.name: v.reason for v in selection.candidates if not v.accepted}
    assert "it was yanked: wrong numbers" in refused[YANKED]
    assert "renamed by a browser" in refused["mamba_ssm-2.3.1 (1).whl"]


def test_trouble_on_the_way(server: str) -> None:
    assert [link.name for link in Index(f"{server}/flaky").links("mamba-ssm")] == [ASTRAL]
    assert Pages.tries["/flaky/mamba-ssm/"] == 3
    assert ASTRAL in [link.name for link in Index(f"{server}/moved/").links("mamba-ssm")]
    assert [link.name for link in Index(f"{server}/links.html").links("mamba-ssm")] == [ASTRAL]
    assert Index(f"{server}/empty/").links("mamba-ssm") == []
    with pytest.raises(MambaopsError, match="does not answer like a package index"):
        Index(f"{server}/wrong/").links("mamba-ssm")
    with pytest.raises(MambaopsError):
        Index("http://127.0.0.1:9/simple/", pause=0.0).links("mamba-ssm")


def test_a_page_with_a_base_and_odd_links() -> None:
    page = (
        '<base href="https://files.example/w/"><a>no link</a><a href="a-1-py3-none-any.whl">x</a>'
    )
    (link,) = parse_page("https://index.example/simple/a/", "text/html", page)
    assert link.url == "https://files.example/w/a-1-py3-none-any.whl"


def test_existence_is_asked_for(server: str) -> None:
    assert exists(f"{server}/files/{ASTRAL}")
    assert not exists(f"{server}/gone/{ASTRAL}")


def test_a_chosen_file_that_is_not_there_gives_way_to_the_next(server: str) -> None:
    from msgspec.structs import replace

    facts = machine()
    offered = list(Index(f"{server}/simple/").candidates("mamba-ssm", facts))
    gone = [
        replace(one, url=f"{server}/gone/{one.name}") if one.name == ASTRAL else one
        for one in offered
    ]
    said: list[str] = []
    selection = select_confirmed("mamba-ssm", facts, gone, check=True, say=said.append)
    assert selection.chosen is not None
    assert selection.chosen.name == OTHER
    assert "404" in said[0]
    assert "404" in next(v.reason for v in selection.candidates if v.name == ASTRAL)


def test_find_links_takes_folders_and_addresses(tmp_path: Path, server: str) -> None:
    assert isinstance(find_links(server), Index)
    assert isinstance(find_links(str(tmp_path)), Folder)
    assert isinstance(find_links(tmp_path.as_uri()), Folder)
    with pytest.raises(MambaopsError, match="neither a folder nor an address"):
        find_links(str(tmp_path / "nowhere"))


def test_a_folder_is_looked_into_where_names_say_too_little(
    tmp_path: Path, compile_module: Compile
) -> None:
    module = {EXTENSION: compile_module(EXTENSION).read_bytes()}
    make_wheel(tmp_path, UPSTREAM, module)
    make_wheel(tmp_path, "mamba_ssm-2.3.0-cp311-cp311-linux_x86_64.whl", module)
    make_wheel(tmp_path, "causal_conv1d-1.6.1-cp311-cp311-linux_x86_64.whl", module)
    (tmp_path / "mamba_ssm-2.2.0-cp311-cp311-linux_x86_64.whl").write_bytes(b"<html>login</html>")
    found = {c.version: c for c in Folder(tmp_path).candidates("mamba-ssm", machine())}
    assert set(found) == {"2.3.1", "2.3.0", ""}
    assert found["2.3.0"].torch_spec == ">=2.8"
    assert found["2.3.0"].cubins == ("7.5", "8.0", "8.6", "9.0")
    assert found["2.3.0"].repairable
    assert "not a whole zip archive" in found[""].unusable
    trace = select("mamba-ssm", machine(), found.values())
    assert {v.version for v in trace.candidates if v.accepted} == {"2.3.1", "2.3.0"}
    older = select("mamba-ssm", machine(torch="2.7.1+cu128"), found.values())
    assert (
        "its symbols are those of torch >=2.8"
        in {v.version: v.reason for v in older.candidates}["2.3.0"]
    )


def test_a_file_at_hand_is_looked_into_before_it_is_chosen(
    tmp_path: Path, compile_module: Compile
) -> None:
    """Its name says torch 2.7; its symbols are of 2.8: the name is not believed."""
    lying = UPSTREAM.replace("torch2.8", "torch2.7").replace("2.3.1", "2.3.2")
    make_wheel(tmp_path, lying, {EXTENSION: compile_module(EXTENSION).read_bytes()})
    honest = UPSTREAM.replace("torch2.8", "torch2.7")
    make_wheel(tmp_path, honest, {EXTENSION: compile_module("era.so", torch="2.5").read_bytes()})
    facts, said = machine(torch="2.7.1+cu128"), list[str]()
    offered = list(Folder(tmp_path).candidates("mamba-ssm", facts))
    selection = select_confirmed("mamba-ssm", facts, offered, say=said.append)
    assert selection.chosen is not None
    assert selection.chosen.name == honest
    assert "its name is not true" in said[0]


def test_the_store_is_known_by_its_keys(tmp_path: Path) -> None:
    key = BuildKey.of(
        package="mamba-ssm",
        version="2.3.1",
        torch="2.9.0.dev20250812+cu129",
        cuda="12.9",
        cxx11_abi=True,
        python="cp311",
        platform="linux_x86_64",
        architectures=["8.0", "12.0+PTX"],
    )
    name = f"mamba_ssm-2.3.1+{key.local_version()}-cp311-cp311-linux_x86_64.whl"
    store = Store(tmp_path / "store")
    store.add(make_wheel(tmp_path, name, {"mamba_ssm/__init__.py": b""}), key)
    (one,) = StoreFolder(tmp_path / "store").candidates("mamba-ssm", machine())
    assert (one.source, one.status, one.built_with) == ("store", "present", key.torch)
    assert (one.cubins, one.ptx, one.cuda) == (("8.0", "12.0"), ("12.0",), "12.9")
    # a nightly torch fits what was built for that very nightly, and nothing else
    same = machine(torch="2.9.0.dev20250812+cu129")
    other = machine(torch="2.9.0.dev20250813+cu129")
    assert select("mamba-ssm", same, [one]).chosen is not None
    assert "nightly" in select("mamba-ssm", other, [one]).candidates[0].reason
    assert list(StoreFolder(tmp_path / "none").candidates("mamba-ssm", machine())) == []


def test_sources_come_in_order_and_failures_are_said(tmp_path: Path, server: str) -> None:
    facts, said = machine(), list[str]()
    read = usual_sources(facts, places=[f"{server}/wrong/"], store=tmp_path / "none")
    assert [source.name for source in read] == [
        "store",
        "find-links",
        "upstream",
        "astral",
        "other",
    ]
    found = list_candidates("mamba-ssm", facts, read, say=said.append)
    assert any("find-links: left out" in line for line in said)
    assert {one.source for one in found} == {"upstream", "astral", "conda-forge", "hf-kernels"}
