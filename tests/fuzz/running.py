"""Runs drawn cases in forks of one process that has everything imported, and judges what became of them."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import random
import select
import shutil
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import contents
from drawn import COMMANDS, Case
from recorded import facts_of

import mambaops
from mambaops.cli import main
from mambaops.cli.find import find
from mambaops.core.errors import MambaopsError

DOCUMENTED = {0, 1, 2, 4, 5, 130, 143}
UNDECIDED = 3  # of `diagnose`: the log shows neither a failure nor a success
LIMIT = 10.0  # seconds
# programs of another interpreter, which print what they print
OTHERS = {one.name for one in COMMANDS if one.rest} | {"map-paths", "fetch-model", "demo-data"}
TOOLS = ("python", "python3", "uv", "pip", "nvcc", "g++", "gcc", "c++", "git", "nvidia-smi", "apt-get", "sudo", "docker",
         "podman", "conda", "micromamba", "wsl.exe", "ninja", "ldconfig", "dpkg", "dpkg-query", "patchelf", "lsb_release")  # fmt: skip
STAND_IN = """#!/bin/sh
case "$*" in
  *probe.py*) /bin/cat "$FUZZ_FACTS";;
  *) echo "{name} 1.0"; exit "$FUZZ_TOOLS";;
esac
"""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What became of a case; `wrong` is empty where nothing is."""

    status: int
    stdout: bytes
    stderr: bytes
    seconds: float
    wrong: str = ""


def load() -> None:
    """Import everything once, for every fork."""
    for info in pkgutil.walk_packages(mambaops.__path__, "mambaops."):
        if ".payload" not in info.name and not info.name.endswith("__main__"):
            importlib.import_module(info.name)
    gc.freeze()


def prepare(folder: Path) -> None:
    """Put the stand-ins where PATH leads, and the machine's facts beside them."""
    (folder / "bin").mkdir()
    for name in TOOLS:
        program = folder / "bin" / name
        program.write_text(STAND_IN.replace("{name}", name))
        program.chmod(0o755)
    (folder / "facts.json").write_text(json.dumps(_facts()))


def _facts() -> dict[str, Any]:
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(facts_of("no-gpu"))
    return found


def run(case: Case, folder: Path, seed: str) -> Ended:
    """Run one case in a fork; once more and longer where it did not end: the machine may have been busy."""
    found = _run(case, folder, seed, LIMIT)
    return found if found.status != 1000 else _run(case, folder, seed, 4 * LIMIT)


def _run(case: Case, folder: Path, seed: str, limit: float) -> Ended:
    place = folder / "case"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    contents.fill(place, random.Random(seed + " files"), _facts())
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _become(case, folder, place)
    status = _wait(child, limit)
    seconds = time.monotonic() - started
    out, err = ((folder / name).read_bytes() for name in ("stdout", "stderr"))
    found = Ended(status=status, stdout=out, stderr=err, seconds=seconds)
    return Ended(**{**vars(found), "wrong": judged(case, found)})


def _wait(child: int, limit: float) -> int:
    """The exit status; negative for a signal, 1000 where it had to be ended."""
    handle = os.pidfd_open(child)
    ended, _, _ = select.select([handle], [], [], limit)
    os.close(handle)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if ended else 1000


def judged(case: Case, ended: Ended) -> str:
    """What is wrong with an end; "" where nothing is."""
    if ended.status == 1000:
        return f"hangs: not ended after {LIMIT:g} s"
    undecided = ended.status == UNDECIDED and _named(case) == "diagnose"
    if ended.status not in DOCUMENTED and not undecided and not _of_another(case, ended):
        return f"ends with {ended.status}"
    if b"Traceback (most recent" in ended.stdout + ended.stderr:
        return "prints a traceback"
    if case.stdout == "file" and case.encoding == "utf-8":
        return _judged_json(case, ended)
    return ""


def _judged_json(case: Case, ended: Ended) -> str:
    ours = case.words[: case.words.index("--")] if "--" in case.words else case.words
    if "--json" not in ours or {"-h", "--help", "help"} & {*ours}:
        return ""
    if _is_another(case):
        return ""
    try:
        document = json.loads(ended.stdout)
    except ValueError:
        return "with --json, stdout is not one JSON document"
    if not isinstance(document, dict) or "schema" not in document:
        return "the JSON document has no schema" if "$schema" not in document else ""
    return ""


def _is_another(case: Case) -> bool:
    """Does the command become another program?"""
    return _named(case) in OTHERS


def _named(case: Case) -> str:
    """The command that the words name, "" for none."""
    with contextlib.suppress(MambaopsError, IndexError):
        return find(case.words)[0].name
    return ""


def _of_another(case: Case, ended: Ended) -> bool:
    """Is the exit status that of the stand-in that the command became?"""
    return _is_another(case) and ended.status == case.tools


def _become(case: Case, folder: Path, place: Path) -> NoReturn:
    """In the fork: be the program."""
    status = 99
    try:
        os.setsid()
        os.chdir(place)
        _environment(case, folder, place)
        if case.gone:
            gone = place / "gone"
            gone.mkdir()
            os.chdir(gone)
            gone.rmdir()
        _streams(case, folder)
        sys.argv = ["mambaops", *case.words]
        sys.executable = str(folder / "bin" / "python")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            main()
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else bool(ended.code)
            status = _flushed(status)
    except BaseException:
        with contextlib.suppress(Exception), (folder / "stderr").open("a") as file:
            traceback.print_exc(file=file)
    os._exit(status)


def _flushed(status: int) -> int:
    """Python flushes at exit: what fails then is 120."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except OSError:
        return 120
    return status


def _environment(case: Case, folder: Path, place: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    os.environ.clear()
    os.environ.update(
        PATH=str(folder / "bin"), HOME=str(place / "home"), TMPDIR=str(place / "tmp"), LANG="C.UTF-8", TERM="xterm",
        FUZZ_FACTS=str(folder / "facts.json"), FUZZ_TOOLS=str(case.tools), MAMBAOPS_TEST="1",
        MAMBAOPS_CACHE=str(place / "cache"), PIP_NO_INDEX="1", UV_OFFLINE="1", RES_OPTIONS="timeout:1 attempts:1",
        http_proxy=nowhere, https_proxy=nowhere, HTTP_PROXY=nowhere, HTTPS_PROXY=nowhere,
    )  # fmt: skip
    os.environ.update(case.env)


def _streams(case: Case, folder: Path) -> None:
    """What the three streams are, also for Python."""
    _stdin(case.stdin, folder)
    files = [
        os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for name in ("stdout", "stderr")
    ]
    if case.stdout == "full":
        os.dup2(os.open("/dev/full", os.O_WRONLY), files[0])
    if case.stdout == "gone":
        reading, writing = os.pipe()
        os.close(reading)
        os.dup2(writing, files[0])
    os.dup2(files[0], 1)
    os.dup2(files[1], 2)
    sys.stdout = _text(1, case.encoding, "strict")
    sys.stderr = _text(2, case.encoding, "backslashreplace")
    if case.stdout == "closed":
        os.close(1)
        sys.stdout = None  # type: ignore[assignment]


def _stdin(kind: str, folder: Path) -> None:
    if kind == "closed":
        os.close(0)
        sys.stdin = None  # type: ignore[assignment]
        return
    source = "/dev/null" if kind == "empty" else str(folder / "case" / "noise")
    os.dup2(os.open(source, os.O_RDONLY), 0)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8")


def _text(number: int, encoding: str, errors: str) -> io.TextIOWrapper:
    raw = io.FileIO(number, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors, line_buffering=number == 2)
