"""Every command of the README, the procedures and the contributors' page is run: here, or by the test named for it."""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
import sys
from pathlib import Path

import documented
import pytest
import torch

from mambaops.core.paths import CHECKOUT
from mambaops.profiles.load import names

# exit codes other than 0: these commands say what is wrong in the sandbox
EXPECTED = {
    "mambaops diagnose --fix": 2,  # no run has left a log yet
    "mambaops diagnose --log build.log": 1,  # the log holds a failure
    "mambaops map-paths --path D:\\mamba": 1,  # there is no such drive
    "mambaops openblas-check --module mamba_ssm": 1,  # it is not installed here
    "mambaops report": 2,  # no run has left evidence yet
    "mambaops patch-cpp-extension --cuda 11.8 --check": 1,  # torch lacks the row
    # the tests' torch may be a CPU build, for which there is none, and is not where the index's own is fetched
    "mambaops select-wheel --package mamba-ssm": 0 if torch.version.cuda else 4,
    "mambaops strip-crlf scripts --check": 1,  # one has Windows line ends
    "mambaops verify --profile local": 1,  # there is no environment yet
}
# what takes minutes or gigabytes, or depends on the machine; and the test or session that runs it
ELSEWHERE = {
    "python3 -m venv .venv && .venv/bin/pip install -e '.[nox]' && .venv/bin/invoke build-mamba --arch 9.0": (
        "e2e/test_main_job.py"
    ),
    ".venv/bin/invoke bootstrap": "cli/test_bootstrap.py",
    "invoke build-mamba --profile PROFILE": "cli/test_bad_input.py",
    "mambaops apt-prerequisites --check": "system/test_prerequisites.py",
    "mambaops build-mamba": "e2e/test_main_job.py",
    "mambaops build-mamba --profile PROFILE": "e2e/test_main_job.py",
    "mambaops build-wheel --arch 9.0": "e2e/test_main_job.py",
    "mambaops check-network": "system/test_network.py",
    "mambaops compile-kernels": "packs/test_compiled.py",
    "mambaops create-venv --profile local": "cli/test_bad_input.py",
    "mambaops cudnn-check": "system/test_cudnn.py",
    "mambaops doctor": "doctor/test_command.py",
    "mambaops install-fallback": "fallback/test_install.py",
    "mambaops install-toolkit --arch 9.0": "cli/test_bad_input.py",
    "mambaops install-torch --profile local": "cli/test_bad_input.py",
    "mambaops release-gpu": "gpu/test_holders.py",
    "mambaops run-graph-mamba --no-mamba --wandb False": "system/test_launch.py",
    "mambaops shell-env --home /usr/local/cuda-12.8": "system/test_shell_env.py",
}
ALL = sorted({one for page in documented.PAGES for one in documented.commands(page)})
SESSIONS = [one for one in ALL if one.removeprefix(".venv/bin/").startswith("nox -s ")]


@pytest.mark.parametrize("command", SESSIONS)
def test_the_sessions_are_in_the_noxfile(command: str) -> None:
    """`tests/cli/test_nox.py` runs nox itself."""
    tree = ast.parse((CHECKOUT / "noxfile.py").read_text(encoding="utf-8"))
    known = {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}
    asked = command.partition("nox -s ")[2].partition(" -- ")[0].split()
    assert set(asked) <= known | {*names(), "PROFILE"}


@pytest.mark.parametrize("command", sorted(ELSEWHERE))
def test_what_is_run_elsewhere_is_on_a_page_and_in_that_test(command: str) -> None:
    assert command in ALL
    text = (CHECKOUT / "tests" / ELSEWHERE[command]).read_text(encoding="utf-8")
    task = "bootstrap" if "bootstrap" in command else shlex.split(command)[1]
    assert task in text or task == "-m"  # python3 -m venv: what follows it is the main job


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands name, and a home of its own."""
    return documented.sandbox(tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize("command", [one for one in ALL if one not in {*ELSEWHERE, *SESSIONS}])
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
    said = done.stdout[-1500:] + done.stderr[-1500:]
    # the plan of a machine whose disk is nearly full says so, and has the code of a blocked plan
    full = any(one in done.stdout for one in ("BLOCKED check-space", "check-space: blocked"))
    assert done.returncode == (4 if full else EXPECTED.get(command, 0)), said
    assert "Traceback" not in done.stderr
