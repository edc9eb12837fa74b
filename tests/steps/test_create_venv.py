"""What virtualenv, uv and conda are asked for, and what is left where they fail."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest
from acts import case_on, context_of, said
from standins import program

from mambaops.core import interpreters
from mambaops.core.errors import CommandFailed, MambaopsError, UsageError
from mambaops.decide.case import Case
from mambaops.decide.situation import Flags
from mambaops.profiles.load import load_profile
from mambaops.profiles.model import Profile
from mambaops.state.places import places
from mambaops.steps.context import Context
from mambaops.steps.create_venv import STEP, find_python

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
MODULE = """
import pathlib, sys
with pathlib.Path(__file__).with_name("calls").open("a") as calls:
    print(pathlib.Path(__file__).stem, *sys.argv[1:], file=calls)
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modules stand in for those that our interpreter runs."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


def stand_in(folder: Path, name: str, text: str = "") -> None:
    (folder / f"{name}.py").write_text(MODULE + text, encoding="utf-8")


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text(encoding="utf-8").splitlines()


def venv_case() -> Case:
    return case_on("hopper", flags=Flags(python=HERE))


def act(case: Case) -> Context:
    assert STEP.act is not None
    context = context_of(case)
    STEP.act(context, case)
    return context


def undo(case: Case) -> None:
    assert STEP.undo is not None
    STEP.undo(context_of(case), case)


def test_virtualenv_makes_it_of_what_it_carries(modules: Path) -> None:
    stand_in(modules, "virtualenv", "print('made')")
    context = act(venv_case())
    python = interpreters.of_version(HERE)
    assert calls(modules) == [
        f"virtualenv --quiet --no-download --no-periodic-update -p {python} {context.where.env}"
    ]
    assert "made" in context.run.log("create-venv").read_text(encoding="utf-8")
    assert said == []


def test_what_is_in_the_way_is_put_aside(modules: Path) -> None:
    stand_in(modules, "virtualenv")
    env = places("local").env
    (env / "thesis").mkdir(parents=True)
    act(venv_case())
    assert not env.exists()
    assert (env.with_name("local.broken") / "thesis").is_dir()
    assert said == [f"{env} holds no Python that works; it is now {env}.broken"]


def test_an_environment_with_its_interpreter_is_not_removed(modules: Path) -> None:
    stand_in(modules, "virtualenv")
    python = places("local").python
    python.parent.mkdir(parents=True)
    python.touch()
    act(venv_case())
    assert python.exists()
    assert said == []


def test_what_is_half_made_is_removed_again(modules: Path) -> None:
    env = places("local").env
    stand_in(modules, "virtualenv", f"pathlib.Path({str(env)!r}).mkdir(); sys.exit('no space')")
    with pytest.raises(CommandFailed, match="no space"):
        act(venv_case())
    assert env.parent.is_dir()
    assert not env.exists()


def test_a_place_that_cannot_be_written_to(modules: Path) -> None:
    stand_in(modules, "virtualenv")
    env = places("local").env
    env.parent.parent.mkdir(parents=True)
    env.parent.touch()
    with pytest.raises(MambaopsError) as caught:
        act(venv_case())
    assert caught.value.message == f"the environment cannot be made at {env}: File exists"
    assert "export MAMBAOPS_HOME=" in caught.value.hint


def test_a_python_that_is_not_here_is_fetched_with_uv(modules: Path) -> None:
    stand_in(modules, "uv", "print('/of/uv/python' if 'find' in sys.argv else 'fetched')")
    context = context_of(venv_case())
    assert find_python("3.77", context) == Path("/of/uv/python")
    assert calls(modules) == ["uv python install 3.77", "uv python find 3.77"]
    assert said == ["Python 3.77 is not here; fetching one with uv"]
    log = context.run.log("create-venv").read_text(encoding="utf-8")
    assert "fetched" in log
    assert "/of/uv/python" in log


@pytest.mark.parametrize(
    ("words", "reason"),
    [("'trying\\nerror: no route\\nerror: none'", "error: none"), ("1", "install 3.77` exited 1")],
)
def test_a_python_that_cannot_be_fetched(modules: Path, words: str, reason: str) -> None:
    stand_in(modules, "uv", f"sys.exit({words})")
    with pytest.raises(MambaopsError) as caught:
        find_python("3.77", context_of(venv_case()))
    start = "there is no Python 3.77 on this machine, and uv could not fetch one: "
    assert caught.value.message.startswith(start)
    assert caught.value.message.endswith(reason)
    assert "trying" not in caught.value.message
    assert "install Python 3.77" in caught.value.hint


def conda_case(tmp_path: Path, text: str, channels: tuple[str, ...] = ("nvidia", "forge")) -> Case:
    tool = program(tmp_path, "conda", f'echo "$*" >> {tmp_path}/calls\n{text}')
    return case_on(
        "ubuntu22-cu118", conda_profile(channels), like={"tools": {"conda": {"path": str(tool)}}}
    )


def conda_profile(channels: tuple[str, ...]) -> Profile:
    profile = load_profile("ubuntu22-cu118")
    target = msgspec.structs.replace(profile.target, channels=list(channels))
    return msgspec.structs.replace(profile, target=target)


@pytest.mark.parametrize(
    ("channels", "words"),
    [
        (("nvidia", "forge"), "--channel nvidia --channel forge --override-channels "),
        ((), ""),
    ],
)
def test_conda_makes_it_with_the_profiles_packages(
    tmp_path: Path, channels: tuple[str, ...], words: str
) -> None:
    context = act(conda_case(tmp_path, "echo solved", channels))
    assert calls(tmp_path) == [
        f"create --yes --prefix {context.where.env} {words}python=3.10 pip packaging"
    ]
    assert "solved" in context.run.log("create-venv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("echo solving >&2; echo no network >&2; exit 1", "no network"), ("exit 3", "exited 3")],
)
def test_conda_that_fails(tmp_path: Path, text: str, reason: str) -> None:
    env = places("ubuntu22-cu118").env
    case = conda_case(tmp_path, f"mkdir -p {env}/conda-meta\n{text}")
    with pytest.raises(MambaopsError) as caught:
        act(case)
    assert caught.value.message.startswith(f"`{tmp_path}/bin/conda create` failed: ")
    assert caught.value.message.endswith(reason)
    assert "solving" not in caught.value.message
    assert "create-venv.log" in caught.value.hint
    assert not env.exists()


@pytest.mark.parametrize("mark", ["pyvenv.cfg", "conda-meta/history"])
def test_undo_removes_an_environment(mark: str) -> None:
    case = venv_case()
    env = places("local").env
    (env / mark).parent.mkdir(parents=True)
    (env / mark).touch()
    undo(case)
    assert list(env.parent.iterdir()) == []
    assert said == [f"removed {env}"]


def test_undo_with_nothing_there() -> None:
    undo(venv_case())
    assert said == [f"there is no environment at {places('local').env}"]


def test_undo_leaves_what_is_no_environment() -> None:
    env = places("local").env
    (env / "thesis").mkdir(parents=True)
    with pytest.raises(UsageError, match="is no Python environment: it is not removed"):
        undo(venv_case())
    assert (env / "thesis").is_dir()


def test_the_script_of_conda() -> None:
    assert STEP.script is not None
    assert STEP.script(case_on("ubuntu22-cu118", "ubuntu22-cu118")) == [
        'conda create --yes --prefix "$ENV" -c conda-forge python=3.10 pip packaging'
    ]


def test_room_is_looked_at_before() -> None:
    assert STEP.after == ("check-space",)


def renew(case: Case) -> Context:
    assert STEP.renew is not None
    context = context_of(case)
    STEP.renew(context, case)
    return context


def environment() -> Path:
    """One with a package in it."""
    env = places("local").env
    (env / "lib").mkdir(parents=True)
    (env / "lib" / "torch").touch()
    (env / "pyvenv.cfg").touch()
    return env


def test_one_is_made_anew_where_it_lies(modules: Path) -> None:
    env = environment()
    stand_in(
        modules, "virtualenv", "p = pathlib.Path(sys.argv[-1]); p.mkdir(); (p / 'new').touch()"
    )
    renew(venv_case())
    assert {path.name for path in env.iterdir()} == {"new", "mambaops-made.json"}
    assert [path.name for path in env.parent.iterdir()] == ["local"]
    assert said == [f"{env} was made anew"]


def test_the_old_one_comes_back_where_the_new_one_does_not_come_about(modules: Path) -> None:
    env = environment()
    stand_in(modules, "virtualenv", "pathlib.Path(sys.argv[-1]).mkdir(); sys.exit('no space')")
    with pytest.raises(CommandFailed, match="no space"):
        renew(venv_case())
    assert (env / "lib" / "torch").exists()
    assert [path.name for path in env.parent.iterdir()] == ["local"]


def test_without_the_wanted_python_nothing_is_touched(modules: Path) -> None:
    env = environment()
    stand_in(modules, "uv", "sys.exit(1)")
    before = env.stat().st_ino
    with pytest.raises(MambaopsError, match="there is no Python 3"):
        renew(case_on("hopper", flags=Flags(python="3.77", torch="99.0+cu130", arch="9.0")))
    assert env.stat().st_ino == before
    assert (env / "lib" / "torch").exists()


def test_what_is_no_environment_is_not_made_anew(modules: Path) -> None:
    env = places("local").env
    (env / "thesis").mkdir(parents=True)
    with pytest.raises(UsageError, match="is no Python environment"):
        renew(venv_case())
    assert (env / "thesis").is_dir()
