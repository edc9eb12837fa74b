"""Every command of the README is run: here, or by the test that is named for it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mambaops.core.paths import CHECKOUT

README = CHECKOUT / "README.md"
TESTS = CHECKOUT / "tests"
# exit codes that a command may have on a machine like this; 0 is always allowed
ALLOWED = {
    "mambaops apt-prerequisites --check": {1},  # something may be missing
    "mambaops check-network": {1},  # there may be no network
    "mambaops diagnose --log build.log": {1},  # the log holds a failure
    "mambaops doctor": {1, 4},
    "mambaops map-paths --path D:\\mamba": {1},  # there is no such drive
    "mambaops openblas-check --module mamba_ssm": {1},  # it is not installed here
    "mambaops patch-cpp-extension --cuda 11.8 --check": {1},  # torch lacks the row
    "mambaops release-gpu": {1, 4},  # there is no GPU
    "mambaops select-wheel --package mamba-ssm": {1, 4},  # none fits
    "mambaops strip-crlf scripts --check": {1},  # one has Windows line ends
    "mambaops cudnn-check": {1, 2, 4},  # there may be no toolkit
    "mambaops verify --profile local": {1},  # there is no environment yet
}
# what takes minutes or gigabytes, and the test or session that runs it
ELSEWHERE = {
    "python3 -m venv .venv && .venv/bin/pip install -e '.[nox]' && .venv/bin/invoke build-mamba --arch 9.0": (
        "e2e/test_main_job.py"
    ),
    ".venv/bin/nox -s tests": "../.ci/run",
    "nox -s train_stage2 -- --demo": "train/test_demo.py",
    "PYTHONPATH=src torchrun --standalone --nproc-per-node 2 -m mambaops.payload.train.vlm --help": (
        "train/test_engine.py"
    ),
    ".venv/bin/invoke bootstrap": "cli/test_bootstrap.py",
    "mambaops create-venv --profile local": "e2e/test_main_job.py",
    "mambaops install-torch --profile local": "cli/test_bad_input.py",
    "mambaops install-toolkit --arch 9.0": "e2e/test_main_job.py",
    "mambaops build-wheel --arch 9.0": "e2e/test_main_job.py",
    "mambaops install-fallback": "payload/scan/test_fallback.py",
    "mambaops run-graph-mamba --no-mamba --wandb False": "payload/graph/test_program.py",
    "mambaops shell-env --home /usr/local/cuda-12.8": "system/test_shell_env.py",
    "nox -s ubuntu20-graph-mamba": "cli/test_nox.py",
    "nox -s tests_slow": "../noxfile.py",
    "nox -s build_real": "e2e/build_real.py",
    "nox -s bench": "../noxfile.py",
    "invoke build-mamba --profile PROFILE": "cli/test_bad_input.py",
    "nox -s PROFILE": "cli/test_nox.py",
    "mambaops build-mamba": "e2e/test_main_job.py",
}
STARTS = ("mambaops ", "invoke ", "nox -s ", ".venv/", "python3 -m venv")


def commands() -> list[str]:
    """Every command in the README's shell blocks, table cells and text."""
    text = README.read_text(encoding="utf-8")
    found: list[str] = []
    for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL):
        found += [line.split("  #")[0].strip() for line in block.splitlines() if line.strip()]
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    found += [code for code in re.findall(r"`([^`\n]+)`", prose) if code.startswith(STARTS)]
    return sorted({one.removesuffix(" again") for one in found if "NAME" not in one})


def runnable() -> list[str]:
    return [one for one in commands() if one not in ELSEWHERE]


def test_the_table_has_every_procedure() -> None:
    text = README.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (P\d\d) \|", text, flags=re.MULTILINE)
    assert rows == [f"P{number:02d}" for number in range(1, 37)]


def test_every_file_that_the_table_names_is_there() -> None:
    text = README.read_text(encoding="utf-8")
    for name in re.findall(r"`(tests/[\w/.]+)`", text):
        assert (CHECKOUT / name).exists(), name
    for name in re.findall(r"\]\((docs/[\w/.-]+)\)", text):
        assert (CHECKOUT / name).exists(), name


@pytest.mark.parametrize("command", sorted(ELSEWHERE))
def test_what_is_run_elsewhere_is_in_the_readme_and_its_test_exists(command: str) -> None:
    assert command in commands()
    assert (TESTS / ELSEWHERE[command]).exists()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the commands name, and a home of its own."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "build.log").write_text(
        "x.cpp:1:10: fatal error: Python.h: No such file or directory\n", encoding="utf-8"
    )
    (folder / "scripts").mkdir()
    (folder / "scripts" / "run.sh").write_bytes(b"#!/bin/sh\r\necho hello\r\n")
    (folder / "requirements.txt").write_text("torch==1.0\npackaging\n", encoding="utf-8")
    _source(folder / "DIR")
    _wheel(folder / "x-1.0-py3-none-any.whl")
    return folder


def _wheel(path: Path) -> None:
    """A small whole wheel."""
    info = "x-1.0.dist-info"
    members = {
        "x.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: x\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{info}/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            record += f"{name},sha256={digest.decode().rstrip('=')},{len(text)}\n"
        archive.writestr(f"{info}/RECORD", record)


def _source(folder: Path) -> None:
    index = json.loads((TESTS / "setup_py" / "index.json").read_text(encoding="utf-8"))
    name = index["causal-conv1d"]["1.7.0"]["file"]
    folder.mkdir()
    (folder / "setup.py").write_text(
        (TESTS / "setup_py" / name).read_text(encoding="utf-8"), encoding="utf-8"
    )


@pytest.mark.parametrize("command", runnable())
def test_the_command_runs(command: str, sandbox: Path) -> None:
    words = shlex.split(command.replace("\\", "\\\\"))
    words = [str(next(sandbox.glob("*.whl"))) if word == "FILE" else word for word in words]
    assert words[0] in ("mambaops", "invoke"), f"`{command}` is in no list of this test"
    env = {
        **os.environ,
        "HOME": str(sandbox / "home"),
        "MAMBAOPS_HOME": str(sandbox / "mambaops"),
        "MAMBAOPS_CACHE": str(sandbox / "cache"),
        "PIP_CACHE_DIR": str(sandbox / "pip-cache"),
        "UV_CACHE_DIR": str(sandbox / "uv-cache"),
    }
    argv = [sys.executable, "-m", "mambaops", *words[1:]]
    done = subprocess.run(
        argv, capture_output=True, text=True, env=env, cwd=sandbox, check=False, timeout=120
    )
    allowed = {0} | ALLOWED.get(command, set())
    assert done.returncode in allowed, done.stdout[-1500:] + done.stderr[-1500:]
    assert "Traceback" not in done.stderr
