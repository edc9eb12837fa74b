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


@pytest.mark.parametrize("page", sorted(generator().PARTS))
def test_the_page_is_as_the_code_says(page: str) -> None:
    text = (CHECKOUT / "docs" / page).read_text(encoding="utf-8")
    assert generator().whole(page) == text, "run: python docs/generate.py"
