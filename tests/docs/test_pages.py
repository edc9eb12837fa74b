"""The pages: links that lead somewhere, a table with every procedure, words that a stranger can read."""

from __future__ import annotations

import re
from pathlib import Path

import documented
import pytest

from mambaops.core.paths import CHECKOUT
from mambaops.plan.order import ordered
from mambaops.profiles.load import names
from mambaops.report.steps import steps_markdown
from mambaops.steps import all_steps

PAGES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/*.md")])
PROCEDURES = CHECKOUT / "docs" / "procedures.md"


def label(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


def test_the_readme_leads_to_every_page_and_names_every_profile() -> None:
    readme = CHECKOUT / "README.md"
    linked = {(CHECKOUT / one).resolve() for one in documented.links(readme)}
    assert set(PAGES) - {readme} <= linked
    text = readme.read_text(encoding="utf-8")
    assert not [name for name in names() if f"`{name}`" not in text]


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_every_link_leads_to_a_file(page: Path) -> None:
    assert not [one for one in documented.links(page) if not (page.parent / one).exists()]


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_every_file_of_ours_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:tests|src|docs|benchmarks)/[\w/.-]+)`", text)
    assert not [one for one in named if not (CHECKOUT / one).exists()]


def test_the_table_has_every_procedure() -> None:
    text = PROCEDURES.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (P\d\d) \|", text, flags=re.MULTILINE)
    assert rows == [f"P{number:02d}" for number in range(1, 37)]


def test_every_procedure_names_its_machine_and_a_test_or_session() -> None:
    text = PROCEDURES.read_text(encoding="utf-8")
    machines = {"all", *re.findall(r"^\| `([^`]+)` \| ", text, flags=re.MULTILINE)}
    for row in re.findall(r"^\| P\d\d \|.*$", text, flags=re.MULTILINE):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        assert set(cells[4].replace("`", "").split(", ")) <= machines, row
        assert re.search(r"`(tests/[\w/.]+|nox -s \w+)`", cells[3]), row


def texts() -> list[Path]:
    """Everything of ours that a person reads: pages, profiles, patches, and the code with its help texts."""
    folders = ("docs", "src", "env_profiles", "patches", "benchmarks")
    made = CHECKOUT / "docs" / "_build"  # what `nox -s docs` copies there
    files = [
        path
        for name in folders
        for path in (CHECKOUT / name).rglob("*")
        if made not in path.parents
    ]
    kinds = {".md", ".py", ".yaml", ".toml", ".sh", ".ps1"}
    return [*PAGES[:3], *sorted(path for path in files if path.suffix in kinds)]


def test_only_one_page_knows_the_procedures_ids_and_none_the_letters_of_notes() -> None:
    pattern = re.compile(r"\bP[0-3]\d\b|\b[Nn]otes? [A-E]\b|\bnotes?' ")
    found = {
        f"{label(path)}: {hit.group()}"
        for path in texts()
        if path != PROCEDURES and "tests" not in path.parts
        for hit in pattern.finditer(path.read_text(encoding="utf-8"))
    }
    assert found == set()


def test_the_table_of_steps_is_what_the_steps_say() -> None:
    text = PROCEDURES.read_text(encoding="utf-8")
    shown = text.partition("<!-- steps: begin -->")[2].partition("<!-- steps: end -->")[0]
    assert shown.strip() == steps_markdown(ordered(all_steps()))
