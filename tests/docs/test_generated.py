"""What the code tells of itself on the pages is what it says now."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from mambaops.core.paths import CHECKOUT


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", CHECKOUT / "docs" / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = generator()


@pytest.mark.parametrize("page", sorted([*PAGES.PARTS, *PAGES.schemas()]))
def test_the_page_is_as_the_code_says(page: str) -> None:
    assert PAGES.whole(page) == PAGES.written(page), "run: python docs/generate.py"


def test_no_schema_is_left_over() -> None:
    there = {f"schemas/{path.name}" for path in (CHECKOUT / "docs" / "schemas").iterdir()}
    assert there == set(PAGES.schemas())
