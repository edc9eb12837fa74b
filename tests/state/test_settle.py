"""A kill at any point leaves a whole environment: the one from before, or the new one."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mambaops.state.places import Places
from mambaops.state.settle import making, put_aside, replacing, settle

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "open", "shutil.rmtree"}
PARTS = ("bin/python", "lib/a", "lib/b", "pyvenv.cfg")


@pytest.fixture
def where(tmp_path: Path) -> Places:
    return Places("local", tmp_path)


def make(where: Places, which: str) -> None:
    for part in PARTS:
        (where.env / part).parent.mkdir(parents=True, exist_ok=True)
        (where.env / part).write_text(which)


def whole(where: Places) -> str:
    """Which environment lies there; one of parts of both, or with one missing, is none."""
    (which,) = {(where.env / part).read_text() for part in PARTS}
    return which


def renewed(where: Places) -> None:
    with replacing(where, lambda line: None), making(where):
        make(where, "new")


def created(where: Places) -> None:
    with making(where):
        make(where, "new")


def settled(where: Places) -> None:
    settle(where, lambda line: None)


def killed_at(number: int, act: Callable[[Places], None], where: Places) -> bool:
    """Run it in a child that is killed right before its `number`th change; False where it came to its end."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    seen = [0]

    def count(event: str, args: tuple[Any, ...]) -> None:
        if event in CHANGES and args and str(where.root) in str(args[0]):
            seen[0] += 1
            if seen[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)

    status = 3
    try:
        sys.addaudithook(count)
        act(where)
        status = 0
    finally:
        os._exit(status)


def killed_everywhere(
    act: Callable[[Places], None], where: Places, before: Callable[[], None]
) -> list[str]:
    """Which environment is there after a kill at each point, and settling; `before` is what it starts from."""
    found: list[str] = []
    for number in range(1, 200):
        shutil.rmtree(where.root)
        where.env.parent.mkdir(parents=True)
        before()
        if not killed_at(number, act, where):
            return found
        settled(where)
        assert {path.name for path in where.env.parent.iterdir()} <= {"local"}
        found.append(whole(where) if where.env.exists() else "none")
    raise AssertionError("it does not come to its end")


def test_one_that_is_made_anew(where: Places) -> None:
    came = killed_everywhere(renewed, where, lambda: make(where, "old"))
    assert whole(where) == "new"
    assert len(came) > 15
    # the old one until the new one is whole, then the new one: never back again
    assert came == sorted(came, reverse=True)
    assert set(came) == {"old", "new"}


def test_the_first_one_is_whole_or_not_there(where: Places) -> None:
    came = killed_everywhere(created, where, lambda: None)
    assert len(came) > 8
    assert set(came) <= {"none", "new"}
    assert whole(where) == "new"


@pytest.mark.parametrize("made", [True, False])
def test_settling_may_be_killed_as_well(where: Places, made: bool) -> None:
    def before() -> None:
        make(where, "old")
        where.env.rename(where.kept)
        if made:
            make(where, "half")
            (where.env / "lib/b").unlink()
            where.making.touch()

    came = killed_everywhere(settled, where, before)
    assert len(came) >= (6 if made else 1)
    assert {*came, whole(where)} == {"old"}


def test_a_failure_brings_the_old_one_back(where: Places) -> None:
    make(where, "old")
    said: list[str] = []
    with pytest.raises(OSError, match="no space"), replacing(where, said.append), making(where):
        (where.env / "bin").mkdir(parents=True)
        raise OSError("no space")
    assert whole(where) == "old"
    assert said == [f"{where.env}: the environment from before is back"]
    assert [path.name for path in where.env.parent.iterdir()] == ["local"]


def test_settling_what_is_settled_changes_nothing(where: Places) -> None:
    settled(where)
    assert list(where.root.iterdir()) == []
    make(where, "old")
    settled(where)
    assert whole(where) == "old"


def test_what_is_put_aside_takes_nobodys_place(where: Places) -> None:
    for number in ("", "1"):
        make(where, number)
        assert put_aside(where.env) == where.env.with_name(f"local.broken{number}")
    assert (where.env.with_name("local.broken") / "lib/a").read_text() == ""


def test_what_a_link_points_to_is_not_deleted(where: Places) -> None:
    elsewhere = where.root / "big-disk"
    where.env.parent.mkdir()
    elsewhere.mkdir()
    (elsewhere / "torch").touch()
    where.env.symlink_to(elsewhere)
    renewed(where)
    assert whole(where) == "new"
    assert (elsewhere / "torch").exists()
    assert [path.name for path in where.env.parent.iterdir()] == ["local"]


def test_what_is_completed_stays_where_that_fails(where: Places) -> None:
    make(where, "old")
    with pytest.raises(OSError, match="no space"), making(where):
        raise OSError("no space")
    assert whole(where) == "old"
    assert [path.name for path in where.env.parent.iterdir()] == ["local"]
