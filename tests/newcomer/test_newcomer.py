"""What the newcomer reads: the README, this machine's settings; and what is said where no bare system can be made."""

from __future__ import annotations

import datetime
import os
import select
import subprocess
import sys
from pathlib import Path

import bare_system
import host_settings
import pytest
from machines_table import with_rows
from readme_commands import NotTold, told

from mambaops.core.paths import CHECKOUT

HERE = Path(__file__).resolve().parent


def test_the_readme_says_what_is_needed_and_both_commands() -> None:
    found = told((CHECKOUT / "README.md").read_text(encoding="utf-8"))
    assert found.packages == ("python3-venv", "g++", "git")
    assert found.first.startswith("python3 -m venv .venv && ")
    assert found.first.endswith("build-mamba --arch 9.0")
    assert found.second == ".venv/bin/nox -s tests"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "`sudo apt-get install git`\n```sh\nnox -s tests\n```\n",
        "```sh\npython3 -m venv x && x/bin/invoke build-mamba\nnox -s tests\n```\n",
        "`apt-get install git`\n```sh\npython3 -m venv x && x/bin/invoke build-mamba\nnox -s tests_slow\n```\n",
    ],
)
def test_a_readme_that_leaves_something_out_is_noticed(text: str) -> None:
    with pytest.raises(NotTold):
        told(text)


SETTINGS = """:env:.disable-pip-version-check='1'
:env:.find-links='/wheels /more'
global.extra-index-url='file:///index/simple\\nhttps://example.org/simple'
global.find-links='/others'
install.user='true'
user.email='x'
"""


def test_of_pips_settings_those_are_handed_in_that_say_where_packages_are() -> None:
    found = host_settings.parse_settings(SETTINGS)
    assert found == {
        "extra-index-url": "file:///index/simple\nhttps://example.org/simple",
        "find-links": "/wheels /more",
    }
    assert host_settings.as_file(found) == (
        "[global]\nextra-index-url = file:///index/simple https://example.org/simple\n"
        "find-links = /wheels /more\n"
    )


def test_the_folders_that_they_name_are_shown_to_the_system(tmp_path: Path) -> None:
    for name in ("index/simple", "wheels"):
        (tmp_path / name).mkdir(parents=True)
    settings = {
        "extra-index-url": f"file://{tmp_path}/index/simple https://example.org/simple",
        "find-links": f"{tmp_path}/wheels {tmp_path}/not-there",
    }
    # the files of a local index lie beside its pages
    assert host_settings.folders(settings) == [tmp_path / "index", tmp_path / "wheels"]


@pytest.mark.parametrize(
    "text",
    [
        "Types: deb\nURIs: http://example.org/debian\nSuites: bookworm\n",
        "deb [signed-by=/x] http://example.org/debian bookworm main\n",
        "# deb http://other.example.org/debian x\ndeb http://example.org/debian/ bookworm main\n",
    ],
)
def test_debian_is_fetched_from_where_this_machine_gets_it(text: str, tmp_path: Path) -> None:
    (tmp_path / "sources").write_text(text)
    assert (
        host_settings.mirror([tmp_path / "not-there", tmp_path / "sources"])
        == "http://example.org/debian"
    )


def test_another_system_has_no_debian(tmp_path: Path) -> None:
    (tmp_path / "sources").write_text("deb http://example.org/ubuntu noble main\n")
    assert host_settings.mirror([tmp_path / "sources"]) is None


def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(HERE), *words]
    return subprocess.run(
        argv, capture_output=True, text=True, check=False, env={**os.environ, **env}
    )


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_where_none_can_be_made_it_says_so_and_fails_in_ci(
    ci: str, code: int, tmp_path: Path
) -> None:
    """With an empty PATH there is no debootstrap, whoever runs it."""
    done = run("bookworm", "--logs", str(tmp_path), CI=ci, PATH=str(tmp_path))
    assert "no bare system can be made here, so nothing was tried" in done.stdout
    assert done.returncode == code
    assert list(tmp_path.iterdir()) == []


def test_every_debian_has_its_day() -> None:
    days = [datetime.date(2026, 11, 29) + datetime.timedelta(days=more) for more in range(6)]
    suites = [bare_system.of_the_day(day) for day in days]
    assert sorted(suites[:3]) == ["bookworm", "bullseye", "trixie"]
    assert suites[3:] == suites[:3]


def row(what: str, seconds: int, passed: bool = True) -> dict[str, object]:
    return {"suite": "trixie", "what": what, "exit": 0, "seconds": seconds, "passed": passed}


def test_what_was_measured_replaces_the_row_of_the_same_name_and_no_other() -> None:
    page = "before\n<!-- newcomer: begin -->\n<!-- newcomer: end -->\nafter\n"
    first = with_rows(page, [row("one", 61), row("two", 5)])
    again = with_rows(first, [row("one", 600, passed=False)])
    assert again.startswith("before\n") and again.endswith("\nafter\n")
    table = [line for line in again.splitlines() if line.startswith("| trixie")]
    assert table == [
        "| trixie | one | 0 | 10:00 | FAILED |",
        "| trixie | two | 0 | 0:05 | as wanted |",
    ]
    assert "| trixie | one | 0 | 1:01 | as wanted |" in first
    assert with_rows(again, []) == again


def test_the_page_has_the_table() -> None:
    page = (CHECKOUT / "docs" / "machines.md").read_text(encoding="utf-8")
    assert with_rows(page, []) == page


@pytest.mark.skipif(
    not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="no list of children here"
)
def test_when_time_is_up_nothing_of_the_system_runs_on() -> None:
    """What `unshare` has started is another user by then, which `--kill-child` does not reach."""
    read, write = os.pipe()
    assert bare_system._wait(["sh", "-c", "sleep 30 & wait"], write, timeout=1) == 124
    os.close(write)
    ended, _, _ = select.select([read], [], [], 20)
    # whoever still ran would hold it open
    assert ended and os.read(read, 1) == b""
    os.close(read)
