"""`fleet report`: what is kept, as one page that holds nothing foreign."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from browser import looked_at, on_a_phone
from recorded import facts_of, varied

from mambaops.fleet.gather import Seen
from mambaops.fleet.kept import keep, keep_proofs
from mambaops.fleet.verify import Verified
from mambaops.verify.model import Check

Fleet = Callable[..., subprocess.CompletedProcess[str]]


class Cells(HTMLParser):
    """The words of each line of the table, and every address."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.addresses: list[str] = []
        self.cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for key, value in attrs if key in ("href", "src")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.cell = True
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.cell = self.cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.cell:
            self.rows[-1][-1] += data


@pytest.fixture
def kept(lab: Path, fleet: Fleet) -> Path:
    """Three machines, of which one was never seen and one says evil things."""
    (lab / "hosts.yaml").write_text("hosts: {a800: {profile: debian-a800}, evil: , new: }")
    evil = varied("no-gpu", {"driver": {"version": "<script>alert(1)</script>"}})
    keep(
        [
            Seen(host="a800", outcome="ok", facts=facts_of("debian10-a800")),
            Seen(host="evil", outcome="ok", facts=evil),
        ]
    )
    proof = Verified(host="a800", outcome="ok", passed=True, checks=[Check(id="a", outcome="ok")])
    keep_proofs([proof], "2026-11-01T00:00:00+00:00")
    keep_proofs([proof], "2026-11-22T00:00:00+00:00")
    return lab


def test_each_machine_has_a_line(kept: Path, fleet: Fleet) -> None:
    done = fleet("report")
    assert done.returncode == 0, done.stderr
    text = (kept / "fleet.html").read_text(encoding="utf-8")
    cells = Cells()
    cells.feed(text)
    lines = {row[0]: dict(zip(cells.rows[0], row, strict=True)) for row in cells.rows[1:]}
    assert list(lines) == ["a800", "evil", "new"]
    assert "A800" in lines["a800"]["GPU"]
    assert (lines["a800"]["proof"], lines["a800"]["since"]) == (
        "passed",
        "2026-11-01T00:00:00+00:00",
    )
    assert (lines["evil"]["proof"], lines["new"]["seen"]) == ("none yet", "never")
    assert "<script" not in text
    assert set(cells.addresses) == {"#host-a800", "#host-evil", "#host-new"}
    assert fleet("report").returncode == 0  # a page of ours is written over


def test_a_file_that_is_no_such_page_is_left_alone(kept: Path, fleet: Fleet) -> None:
    (kept / "fleet.html").write_text("mine")
    assert fleet("report").returncode == 2
    assert (kept / "fleet.html").read_text() == "mine"


def test_a_proof_that_changed_begins_anew(kept: Path, fleet: Fleet) -> None:
    keep_proofs([Verified(host="a800", outcome="ok", passed=False)], "2026-11-23T00:00:00+00:00")
    keep_proofs([Verified(host="a800", outcome="timeout")], "2026-11-24T00:00:00+00:00")
    found = msgspec.json.decode(
        (kept / ".mambaops" / "fleet" / "a800" / "verify.json").read_bytes()
    )
    assert (found["since"], found["when"]) == ("2026-11-23T00:00:00+00:00",) * 2


def test_a_browser_shows_it_light_and_dark_and_no_wider_than_a_phone(
    browser: str, kept: Path, fleet: Fleet, tmp_path: Path
) -> None:
    assert fleet("report").returncode == 0
    page, profile = kept / "fleet.html", tmp_path / "browser"
    dom = looked_at(browser, page, profile, "--dump-dom")
    assert "<title>fleet: 3 machines</title>" in dom
    assert dom.count('id="host-') == 3
    assert "<script" not in dom
    light, dark = (on_a_phone(browser, page, profile, one) for one in ("light", "dark"))
    assert (light[0], dark[0]) == ("400 of 400", "400 of 400")
    assert light[1] != dark[1]
