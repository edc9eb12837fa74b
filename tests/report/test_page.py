"""A run's page: what is on it, that nothing can break out of it, and what a real browser makes of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from browser import looked_at, on_a_phone
from recorded import facts_of

from mambaops.core.errors import UsageError
from mambaops.diagnose.redaction import mask
from mambaops.report.page.evidence import find, read
from mambaops.report.page.html import changing, tag, with_code
from mambaops.report.page.timeline import bars
from mambaops.report.page.write import HEAD, page, write

HOSTILE = (
    "</pre><script>document.title='broken'</script><img src=x onerror=alert(1)>\x1b[31m\x00\u202e"
)
FAILED = [
    {"step": "check-machine", "outcome": "done before", "reason": "as expected"},
    {"step": "patch-setup", "outcome": "done", "seconds": 2.0},
    {"step": "build-wheel:causal-conv1d", "outcome": "failed", "seconds": 100.0, "reason": HOSTILE},
]
DONE = [
    {"step": "install-torch", "outcome": "done", "seconds": 60.0},
    {"step": "build-wheel:causal-conv1d", "outcome": "done", "seconds": 100.0},
    {"step": "build-wheel:mamba-ssm", "outcome": "done before", "reason": "a wheel is there"},
    {"step": "verify", "outcome": "done", "seconds": 40.0},
]
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes the evidence of a run."""

    def made(steps: list[dict[str, Any]], *, after: bool = True, **files: object) -> Path:
        folder = tmp_path / "runs" / "20260102-030405-local"
        folder.mkdir(parents=True)
        facts = msgspec.to_builtins(facts_of("hopper"))
        situation = {"facts": facts, "target": {"distributions": {"torch": "2.14.1", "gone": "1"}}}
        later = {
            "facts": facts,
            "target": {"distributions": {"torch": "2.14.1", "einops": "0.8.1"}},
        }
        planned = [
            {
                "id": "build-wheel:x",
                "status": "needed",
                "reason": "no wheel yet",
                "hint": "",
                "command": "x",
            }
        ]
        choice = {
            "python": "3.12",
            "torch": "2.14.1",
            "torch_cuda": "13.0",
            "archs": ["9.0"],
            "reasons": {},
        }
        plan = {"profile": "local", "choice": choice, "steps": planned}
        written = {"plan": plan, "outcome": {"steps": steps}, "facts-before": situation, **files}
        for name, value in {**written, **({"facts-after": later} if after else {})}.items():
            (folder / f"{name.replace('_', '-')}.json").write_text(
                json.dumps(value), encoding="utf-8"
            )
        return folder

    return made


def manifest(package: str, seconds: float) -> dict[str, object]:
    files = {"a.cu": 50.0, "b.cpp": 20.0}
    return {
        "package": package,
        "version": "1.0",
        "wheel": f"{package}.whl",
        "architectures": ["9.0"],
        "seconds": seconds,
        "seconds_per_file": files,
        "began_per_file": {"a.cu": 0.0, "b.cpp": 50.0},
    }


class Seen(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def seen(text: str) -> Seen:
    found = Seen()
    found.feed(text)
    assert found.open == []
    return found


def test_a_run_that_is_done(make: Make) -> None:
    folder = make(
        DONE,
        **{
            "manifest-causal-conv1d": manifest("causal-conv1d", 90),
            "manifest-mamba-ssm": manifest("mamba-ssm", 95),
        },
        verify={"checks": [{"id": "import:torch", "outcome": "ok", "reason": ""}]},
    )
    text = seen(page(read(folder))).text
    for word in (
        "2026-01-02 03:04:05",
        "done",
        "3:20 min of work",
        "NVIDIA H100 80GB HBM3",
        "CUDA 13.0",
    ):
        assert word in text
    for word in (
        "causal-conv1d.whl",
        "einops 0.8.1",
        "gone 1",
        "import:torch",
        "no wheel yet",
        "glibc 2.39",
    ):
        assert word in text
    assert "What failed" not in text


def test_the_bars_stand_one_behind_the_other_and_packages_side_by_side(make: Make) -> None:
    both = {f"manifest-{name}": manifest(name, 95) for name in ("causal-conv1d", "mamba-ssm")}
    found = [(bar.name, bar.begin, bar.seconds) for bar in bars(read(make(DONE, **both)))]
    assert found == [
        ("install-torch", 0, 60),
        ("build-wheel:causal-conv1d", 60, 100),
        ("a.cu", 60, 50),
        ("b.cpp", 110, 20),
        ("build-wheel:mamba-ssm", 65, 95),
        ("a.cu", 65, 50),
        ("b.cpp", 115, 20),
        ("verify", 160, 40),
    ]


def test_a_failure_has_its_cause_and_its_remedy(make: Make) -> None:
    folder = make(FAILED, after=False)
    log = folder / "build-wheel-causal-conv1d.log"
    log.write_text("NameError: name 'bare_metal_version' is not defined\n", encoding="utf-8")
    with changing(commands=lambda text: text.replace("`mambaops ", "`.venv/bin/mambaops ")):
        found = seen(page(read(folder)))
    assert "cause: " in found.text
    assert ".venv/bin/mambaops install-toolkit" in found.text


def test_a_failure_that_nobody_knows_shows_its_log(make: Make) -> None:
    folder = make(FAILED, after=False)
    (folder / "build-wheel.log").write_text(
        "x\ny.cu:1:1: error: strange\nthe end\n", encoding="utf-8"
    )
    text = seen(page(read(folder))).text
    assert "not recognised" in text
    assert "the end" in text


def test_nothing_breaks_out_of_the_page(make: Make) -> None:
    steps = [{**one, "step": HOSTILE} for one in FAILED]
    folder = make(
        steps,
        **{
            "manifest-x": {
                "version": HOSTILE,
                "wheel": HOSTILE,
                "diff": HOSTILE,
                "seconds_per_file": {HOSTILE: 1},
            },
            "verify": {"checks": [{"id": HOSTILE, "outcome": '"><script>', "reason": HOSTILE}]},
        },
    )
    (folder / f"{'<script>x'}.log").write_text(HOSTILE, encoding="utf-8")
    text = page(read(folder))
    found = seen(text)
    assert not found.names & {"script", "img", "link", "iframe", "object", "form", "a"}
    assert not [name for name in found.attributes if name.startswith("on")]
    assert "document.title='broken'" in found.text
    assert not {"\x1b", "\x00", "\u202e"} & set(text)
    assert "url(" not in text
    assert "http:" not in text
    assert "https:" not in text.replace("see https:", "")


def test_private_data_is_masked_and_the_page_stays_whole(make: Make) -> None:
    folder = make(FAILED, after=False)
    (folder / "build-wheel.log").write_text("token=abc</b>&x /home/somebody/x\n", encoding="utf-8")
    with changing(texts=mask):
        found = seen(page(read(folder)))
    assert "abc" not in found.text
    assert "somebody" not in found.text


@pytest.mark.parametrize(
    "content",
    ["", "{", "[1]", "null", '{"steps": 5, "plan": []}', '{"steps": [null, {"seconds": NaN}]}'],
)
def test_evidence_that_is_damaged_makes_a_page_all_the_same(make: Make, content: str) -> None:
    folder = make(DONE)
    for path in folder.glob("*.json"):
        path.write_text(content, encoding="utf-8")
    seen(page(read(folder)))


def test_a_foreign_file_is_not_written_over(make: Make, tmp_path: Path) -> None:
    found, target = read(make(DONE)), tmp_path / "page.html"
    write(found, target)
    write(found, target)
    assert target.read_text(encoding="utf-8").startswith(HEAD)
    target.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="left as it is"):
        write(found, target)
    link = tmp_path / "link.html"
    link.symlink_to(target)
    with pytest.raises(UsageError, match="left as it is"):
        write(found, link)
    assert target.read_text(encoding="utf-8") == "mine"


def test_runs_are_found_by_name_beginning_and_path(make: Make) -> None:
    folder = make(DONE)
    older = folder.with_name("20250102-030405-local")
    shutil.copytree(folder, older)
    (folder.with_name("99999999-999999-empty")).mkdir()
    assert find(folder.parent) == folder
    assert [find(folder.parent, name) for name in ("2026", older.name, str(older))] == [
        folder,
        older,
        older,
    ]
    with pytest.raises(UsageError, match="several runs begin"):
        find(folder.parent, "20")
    with pytest.raises(UsageError, match="no run begins"):
        find(folder.parent, "x")
    with pytest.raises(UsageError, match="no run has left evidence"):
        find(folder.parent / "none")


def test_texts_are_escaped_and_commands_stand_out() -> None:
    assert tag("p", "a < b", class_='"x"') == '<p class="&quot;x&quot;">a &lt; b</p>'
    assert with_code("run `a && b`.") == "run <code>a &amp;&amp; b</code>."


def test_a_browser_shows_it_and_runs_nothing(browser: str, make: Make, tmp_path: Path) -> None:
    folder = make(FAILED, after=False, **{"manifest-causal-conv1d": manifest("causal-conv1d", 90)})
    (folder / "build-wheel-causal-conv1d.log").write_text(HOSTILE, encoding="utf-8")
    target = write(read(folder), tmp_path / "page.html")
    dom = looked_at(browser, target, tmp_path / "browser", "--dump-dom")
    assert "<title>local: failed</title>" in dom
    assert dom.count('class="lane') == 4
    assert "<script" not in dom
    picture = tmp_path / "page.png"
    looked_at(
        browser, target, tmp_path / "browser", f"--screenshot={picture}", "--window-size=400,900"
    )
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_nothing_is_wider_than_a_phone(browser: str, make: Make, tmp_path: Path) -> None:
    folder = make(
        DONE, **{"manifest-causal-conv1d": {**manifest("causal-conv1d", 90), "wheel": "w" * 300}}
    )
    (folder / "verify.log").write_text("x" * 900 + "\n", encoding="utf-8")
    write(read(folder), tmp_path / "page.html")
    width, _ = on_a_phone(browser, tmp_path / "page.html", tmp_path / "browser")
    assert width == "400 of 400"
