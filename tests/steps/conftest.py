"""Places of the test's own, and an index of torch that lies on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_wheels import index, make_wheel, no_pip_settings

from mambaops.knowledge import addresses, tables

__all__ = ["index", "make_wheel", "no_pip_settings"]


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No state and no proxy of the person who runs the tests."""
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    # nothing that uv is told: the stand-in interpreters write down what pip is asked for
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")


@pytest.fixture
def torch_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """The table of addresses with other places of torch's own index."""

    def change(stable: str, nightly: str = "") -> None:
        folder = shutil.copytree(tables.FOLDER, tmp_path / "tables")
        file, torch = folder / "addresses.toml", addresses.addresses().pytorch
        text = file.read_text(encoding="utf-8")
        text = text.replace(torch.nightly, nightly or f"{stable}/nightly")
        file.write_text(text.replace(torch.stable, stable), encoding="utf-8")
        monkeypatch.setattr(tables, "FOLDER", folder)
        addresses.addresses.cache_clear()

    yield change
    addresses.addresses.cache_clear()
