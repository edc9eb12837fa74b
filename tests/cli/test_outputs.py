"""Every command that writes to a place which a person names: what they have there stays as it is."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from mambaops.cli.find import every_command
from mambaops.cli.program import run

WHEEL = "mamba_ssm-2.2.4-cp310-cp310-linux_x86_64.whl"
# command -> its words, the option that names the place, and what of the person's lies there
FILES = {
    "bundle": (["bundle", "--output"], "mine.tar"),
    "diagnose": (["diagnose", "--log", "log", "--report"], "report.md"),
    "write-launcher": (["write-launcher", "--kind", "wsl", "--output"], "train.sh"),
}
FOLDERS = {
    "container": (["container", "--arch", "8.0", "--output"], "Dockerfile"),
    "demo-data": (["demo-data", "--output"], "caption_train.csv"),
    "fetch-model": (["fetch-model", "--model", "a/b", "--output"], "thesis"),
    "fetch-wheel": (["fetch-wheel", "--url", f"wheel/{WHEEL}", "--output"], WHEEL),
    "get-nvcc": (["get-nvcc", "--cuda", "12.8", "--folder"], "thesis"),
    "repair-wheel": (
        ["repair-wheel", WHEEL, "--output"],
        "mamba_ssm-2.2.4+glibc2.31-cp310-cp310-linux_x86_64.whl",
    ),
}
# options that name a place and do not write files of their own there
OTHERS = {
    ("install-bundle", "into"),  # an environment: tests/bundle/test_install.py
    ("compile-kernels", "output"),  # a folder for a wheel: tests/packs
    ("export-model", "output"),  # needs a trained model: tests/train/test_export.py
    ("fleet-report", "output"),  # needs a fleet: tests/fleet/test_page.py
    ("export", "output"),  # needs an environment: tests/bundle/test_export.py
    ("wheels-index", "folder"),  # a web server's: tests/store/test_index.py
    ("doctor", "report"),  # a switch
    ("report", "output"),  # needs a run: tests/report
    ("wsl-run", "folder"),  # where a command starts
    ("shell-env", "write"),  # a block in a file: tests/system/test_shell_env.py
    ("run-graph-mamba", "out-dir"),  # the program's own: tests/train
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's folder, out of reach of the network; `mine` holds what they have."""
    for name in ("MAMBAOPS_HOME", "MAMBAOPS_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "ours"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", None)
    (tmp_path / "mine").mkdir()
    (tmp_path / "wheel").mkdir()
    for name in ("log", WHEEL, f"wheel/{WHEEL}"):
        (tmp_path / name).write_text("error: x\n")
    return tmp_path


def status(*words: str) -> int:
    return run(["mambaops", *words])


def tree(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and "ours" not in path.parts]
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_no_command_that_names_a_place_is_forgotten() -> None:
    named = {"output", "out-dir", "into", "report", "folder", "write", "dest", "out", "to"}
    found = {
        (command.name, option.name)
        for command in every_command()
        for option in command.options
        if option.name in named
    }
    listed = {
        (name, words[-1].removeprefix("--")) for name, (words, _) in {**FILES, **FOLDERS}.items()
    }
    assert found == listed | OTHERS


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_person_stays(
    name: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, file = FILES[name]
    (place / "mine" / file).write_text("mine")
    before = tree(place)
    assert status(*words, f"mine/{file}") == 2
    assert "mambaops did not write it: it is not overwritten" in capsys.readouterr().err
    assert tree(place) == before


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_the_person_stays(
    name: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, file = FOLDERS[name]
    (place / "mine" / file).write_text("mine")
    before = tree(place)
    assert status(*words, "mine") == 2
    assert "mambaops did not write it: it is not overwritten" in capsys.readouterr().err
    assert tree(place) == before


@pytest.mark.parametrize("name", FILES)
def test_a_folder_is_no_file(name: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name for path in place.iterdir()}
    assert status(*FILES[name][0], ".") == 2
    assert "is a folder, and a file is to be written" in capsys.readouterr().err
    assert {path.name for path in place.iterdir()} - {"ours"} == before
    assert not place.with_name(place.name + ".work").exists()
    assert not (place.parent / "mine.work").exists()


@pytest.mark.parametrize("name", [*FILES, *FOLDERS])
def test_a_place_that_cannot_be_written_is_said_before_any_work(
    name: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, _ = {**FILES, **FOLDERS}[name]
    before = tree(place)
    assert status(*words, "log/deeper/x") == 2
    assert "`log` is no folder" in capsys.readouterr().err.replace(f"{place}/", "")
    assert tree(place) == before


@pytest.mark.parametrize("again", [True, False])
def test_what_we_wrote_may_be_written_again(place: Path, again: bool) -> None:
    words = ["write-launcher", "--kind", "wsl", "--output", "train.sh"]
    assert status(*words) == 0
    if not again:
        (place / "train.sh").write_text("changed by hand")
    assert status(*words) == (0 if again else 2)
    assert status(*words, "--force") == 0
    container = ["container", "--profile", "hopper", "--arch", "9.0", "--output", "image"]
    assert status(*container) == 0
    assert status(*container) == 0
