"""What a command prints, and where: one JSON document, talk on stderr, whatever the streams and the locale are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from recorded import path_of

from mambaops.cli.request import Request
from mambaops.cli.run_step import idle_flags
from mambaops.core.paths import PACKAGE


def mambaops(
    *words: str | Path, cwd: Path | None = None, stdout: int = subprocess.PIPE, **env: str
) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "mambaops", *map(str, words)]
    everything = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), **env}
    return subprocess.run(
        argv, cwd=cwd, env=everything, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )


@pytest.mark.parametrize(
    ("words", "code", "message", "hint"),
    [
        (["plan", "--json", "--profile", "nope"], 2, "there is no profile `nope`", "./mine.yaml"),
        (["--json", "pln"], 2, "there is no command `pln`", "mambaops plan"),
        (["facts", "--json", "--facts", "no.json"], 2, "cannot be read", ""),
        (["verify", "--json"], 1, "there is no environment", "build-mamba"),
    ],
)
def test_an_error_is_one_document_too(
    words: list[str], code: int, message: str, hint: str, tmp_path: Path
) -> None:
    done = mambaops(*words, cwd=tmp_path)
    document = json.loads(done.stdout)
    error = document["error"]
    assert (document["schema"], error["code"], done.returncode) == ("mambaops/error/1", code, code)
    assert message in error["message"]
    assert hint in error["hint"]
    assert f"error: {error['message']}" in done.stderr


def test_what_has_no_words_of_its_own_says_how_it_ended(tmp_path: Path) -> None:
    done = mambaops("--json", "create-venv", "--undo", "--quiet", cwd=tmp_path)
    assert json.loads(done.stdout) == {
        "schema": "mambaops/done/1",
        "command": "create-venv",
        "exit_code": 0,
    }
    assert done.stderr == ""  # --quiet: without it, that there is no environment


def test_verbose_says_which_programs_are_run(tmp_path: Path) -> None:
    done = mambaops("facts", "-v", cwd=tmp_path)
    assert done.returncode == 0
    assert f"$ {sys.executable} " in done.stderr
    assert "probe.py" in done.stderr
    assert mambaops("facts", cwd=tmp_path).stderr == ""


@pytest.mark.parametrize(
    "env",
    [{"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=["latin-1", "C"],
)  # fmt: skip
def test_a_locale_without_our_letters_gets_escapes(env: dict[str, str], tmp_path: Path) -> None:
    for words in (["--list"], ["train-stage2", "--help"], ["profiles", "wsl-5090"]):
        done = mambaops(*words, cwd=tmp_path, **env)
        assert (done.returncode, done.stderr) == (0, "")
    done = mambaops("plan", "--json", "--profile", "日本", cwd=tmp_path, **env)
    message = json.loads(done.stdout)["error"]["message"]
    # in the C locale the word's bytes are no letters
    assert "日本" in message.encode("utf-8", "surrogateescape").decode()


@pytest.mark.parametrize("words", [["--list"], ["--help"], ["plan", "--help"], ["steps"]])
def test_a_reader_that_goes_is_no_failure(words: list[str], tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = mambaops(*words, cwd=tmp_path, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_was_done_is_told_although_the_reader_has_gone(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = ["plan", "--profile", "hopper", "--facts", path_of("debian10-a800")]
    done = mambaops(*words, cwd=tmp_path, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (4, "")


@pytest.mark.parametrize("words", [["--list"], ["steps", "--json"], ["pln", "--json"]])
def test_a_full_disk_behind_stdout_is_told(words: list[str], tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    done = mambaops(*words, cwd=tmp_path, stdout=full)
    os.close(full)
    assert (done.returncode, "No space left on device" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


def test_the_list_has_no_colour_where_there_is_no_terminal(tmp_path: Path) -> None:
    shown = mambaops("--list", cwd=tmp_path, COLUMNS="70").stdout
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines()[3:])) <= 70


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_on_a_terminal_unless_nobody_wants_it(
    env: dict[str, str], coloured: bool, tmp_path: Path
) -> None:
    shown = on_a_terminal(["--list"], tmp_path, {"TERM": "xterm", **env})
    assert ("\x1b[1m" in shown) == coloured


def on_a_terminal(words: list[str], cwd: Path, env: dict[str, str]) -> str:
    """What a command prints where stdout is a terminal."""
    leader, follower = os.openpty()
    plain = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    argv = [sys.executable, "-m", "mambaops", *words]
    env = {**plain, "PYTHONPATH": str(PACKAGE.parent), **env}
    child = subprocess.Popen(argv, cwd=cwd, env=env, stdout=follower, stderr=subprocess.DEVNULL)
    os.close(follower)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        shown += piece
    child.wait()
    os.close(leader)
    return shown.decode()


def test_a_working_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f'cd "{gone}" && rmdir "{gone}" && exec {sys.executable} -m mambaops "$@"'
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    for words, status in ((["plan"], 2), (["--list"], 0)):
        argv = ["sh", "-c", script, "sh", *words]
        gone.mkdir(exist_ok=True)
        done = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
        assert done.returncode == status, done.stderr
        assert ("the working folder is gone" in done.stderr) == bool(status)


@pytest.mark.parametrize("module", ["msgspec", "argparse", "mambaops.cli.program"])
def test_ctrl_c_while_it_begins(module: str, tmp_path: Path) -> None:
    """The interrupt comes in the midst of an import, as it does in the first moments."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Finder:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "            for _ in range(1000): pass\n"
        "sys.meta_path.insert(0, Finder)\n"
    )
    done = mambaops("plan", cwd=tmp_path, PYTHONPATH=f"{tmp_path}:{PACKAGE.parent}")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


@pytest.mark.parametrize(
    ("given", "only", "idle"),
    [
        ({"jobs": 4}, ("install-torch",), ["jobs"]),
        ({"jobs": 4, "sudo": True}, ("build-wheel:mamba-ssm",), []),
        ({"sudo": True, "obtain": "source"}, ("create-venv",), ["sudo", "obtain"]),
        ({"jobs": 4}, (), []),
    ],
)
def test_a_flag_that_does_nothing_for_a_step_is_said(
    given: dict[str, Any], only: tuple[str, ...], idle: list[str]
) -> None:
    assert idle_flags(Request(**given), only) == idle


@pytest.mark.parametrize("words", [["diagnose", "--help"], ["completion", "--help"], ["--help"]])
def test_the_examples_begin_with_what_starts_mambaops_here(
    words: list[str], tmp_path: Path
) -> None:
    """Nothing is on PATH but the system's programs, as in a new shell beside a checkout."""
    done = mambaops(*words, cwd=tmp_path, PATH="/usr/bin:/bin")
    at = done.stdout.partition("Examples:" if len(words) > 1 else "Start with:")[2]
    shown = [one for one in at.partition("\n\n")[0].splitlines() if "mambaops" in one]
    assert len(shown) == 2
    beside = Path(sys.executable).with_name("mambaops")
    assert all(f"{beside} " in one or f"{sys.executable} -m mambaops " in one for one in shown)
