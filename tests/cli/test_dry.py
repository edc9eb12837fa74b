"""`--dry` changes nothing, whatever the command: it is honoured, or refused."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from commands import mambaops
from invoke import Collection, Program

from mambaops.cli.command import REQUIRED, Command
from mambaops.cli.find import every_command
from mambaops.cli.invoke_tasks import as_task
from mambaops.cli.program import run

COMMANDS = [pytest.param(one, id=one.name) for one in every_command()]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing outside of it can be reached, and what lies in it is somebody's."""
    env = tmp_path / "home" / "envs" / "local"
    (env / "thesis").mkdir(parents=True)
    (env / "pyvenv.cfg").touch()
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def words_of(command: Command) -> list[str]:
    """The command with something for each word that it cannot do without."""
    needed = [one for one in command.options if one.default is REQUIRED]
    words = [] if command.name == "wheels" else [f"--{one.name}=x" for one in needed]
    return [*command.words.split(), *(words or ["list"] * len(needed))]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_honours_it_or_refuses_it(
    command: Command,
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket.socket, "connect", None)  # no command gets as far as the network
    before = tree(place)
    status = run(["mambaops", "--dry", *words_of(command)])
    told = capsys.readouterr()
    assert tree(place) == before
    if status:
        assert status == 2
        assert "--dry is not for this command, and nothing was done" in told.err
        assert told.out == ""
    else:
        assert "--dry: nothing was done" in told.err
        assert "create-venv" in told.out


@pytest.mark.parametrize("name", ["create-venv", "purge-cache"])
def test_invokes_own_flag_is_the_same(
    name: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(place)
    (command,) = [one for one in every_command() if one.name == name]
    namespace = Collection(as_task(command))
    with pytest.raises(SystemExit) as ended:
        Program(namespace=namespace).run(["invoke", "--dry", name])
        raise SystemExit(0)
    assert ended.value.code == (0 if command.shows else 2)
    assert "nothing was done" in capsys.readouterr().err
    assert tree(place) == before


@pytest.mark.parametrize("word", ["--recreate", "--undo"])
@pytest.mark.parametrize("first", [True, False])
def test_the_environment_is_not_deleted(place: Path, word: str, first: bool) -> None:
    before = tree(place)
    words = ["create-venv", word, "--yes"]
    done = mambaops(*(["--dry", *words] if first else [*words, "--dry"]))
    assert done.returncode == 0, done.stderr
    assert tree(place) == before


def test_the_plan_is_that_of_the_command(place: Path) -> None:
    done = mambaops("--dry", "build-mamba", "--arch", "9.0")
    assert done.returncode == 0
    assert "kernels for 9.0" in done.stdout
