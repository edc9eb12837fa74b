"""Versions that are not asked twice: only while a program's file is the same, and only of programs that tell their own."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from mambaops.facts import tool_versions
from mambaops.facts.collect import collect
from mambaops.facts.model import Facts

OURS = ".".join(map(str, sys.version_info[:3]))  # what the stand-in for make says: it is a Python


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only program on PATH, and a cache of its own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    shutil.copy(Path(sys.executable).resolve(), folder / "make")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    return folder / "make"


def version_now() -> str | None:
    return collect().tools["make"].version


def kept_as(version: str, program: Path) -> None:
    """Whoever answers this version has not asked the program."""
    file = Path(os.environ["MAMBAOPS_CACHE"]) / "tool-versions.json"
    kept = json.loads(file.read_text(encoding="utf-8"))
    kept[str(program)]["version"] = version
    file.write_text(json.dumps(kept), encoding="utf-8")


def test_asked_once_and_again_when_the_file_is_another(make: Path) -> None:
    assert version_now() == OURS
    kept_as("0.0.1", make)
    assert version_now() == "0.0.1"
    shutil.copy(make, make.with_name("newer"))
    make.with_name("newer").replace(make)
    assert version_now() == OURS


def test_a_file_that_was_touched_is_asked_again(make: Path) -> None:
    assert version_now() == OURS
    kept_as("0.0.1", make)
    os.utime(make, (1, 1))
    assert version_now() == OURS


def test_a_script_and_a_shim_of_another_name_are_always_asked(make: Path) -> None:
    real = make.rename(make.with_name("snap"))
    make.symlink_to(real)
    assert version_now() == OURS
    make.unlink()
    for version in ("4.3", "4.4"):
        make.write_text(f"#!/bin/sh\necho GNU Make {version}\n", encoding="utf-8")
        make.chmod(0o755)
        assert version_now() == version
    assert str(make) not in tool_versions.told_before()


def test_what_failed_or_changed_meanwhile_is_not_kept(make: Path) -> None:
    facts = collect()
    wrong = [{"fact": "tools", "error": f"`{make} --version` exited 1"}]
    shutil.rmtree(os.environ["MAMBAOPS_CACHE"])
    tool_versions.remember(with_problems(facts, wrong), {}, since=2**33)
    assert str(make) not in tool_versions.told_before()
    tool_versions.remember(facts, {}, since=0)
    assert str(make) not in tool_versions.told_before()


def with_problems(facts: Facts, problems: list[dict[str, str]]) -> Facts:
    import msgspec

    return msgspec.convert({**msgspec.to_builtins(facts), "problems": problems}, Facts)


@pytest.mark.parametrize("text", ["", "[]", '{"/usr/bin/make": 3}', '{"a": {"stamp": 1}}', "\x00"])
def test_a_damaged_or_unwritable_cache_is_no_error(make: Path, text: str) -> None:
    file = Path(os.environ["MAMBAOPS_CACHE"]) / "tool-versions.json"
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    assert version_now() == OURS
    file.unlink()
    file.mkdir()  # nothing can be written in its place
    assert version_now() == OURS
