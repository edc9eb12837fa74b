"""What the shells offer: asked as they ask, and in a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mambaops.cli.completion import SCRIPTS, candidates
from mambaops.core.paths import PACKAGE
from mambaops.knowledge.packages import packages
from mambaops.profiles.load import names


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["pl"], ["plan"]),
        (["wheels", "p"], ["path", "prune"]),
        (["plan", "--profile", "wsl"], ["wsl-5090", "wsl-5090-ptx"]),
        (["plan", "-p", "wsl"], ["wsl-5090", "wsl-5090-ptx"]),
        (["plan", "hop"], ["hopper"]),
        (["plan", "--prof"], ["--profile"]),
        (["plan", "--profile", ""], sorted(names())),
        (["wheels", "choose", "mamba-s"], ["mamba-ssm"]),
        (["build-wheel", "--package", ""], sorted(packages())),
        (["env", "--shell", "f"], ["fish"]),
        (["inspect-wheel", "dist/x"], []),
        (["nonsense", "x"], []),
        (["strip-crlf", "--no"], []),
        (["patch-setup", "--no"], ["--no-force-build", "--no-ninja"]),
    ],
)
def test_candidates(words: list[str], found: list[str]) -> None:
    assert candidates(words) == found


def test_a_real_bash_completes_with_the_printed_script(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    program = tmp_path / "mambaops"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mambaops "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(mambaops completion bash)"\n'
        'COMP_WORDS=(mambaops plan --profile wsl); COMP_CWORD=3; _mambaops\n'
        'printf "%s\\n" "${COMPREPLY[@]}"; complete -p mambaops'
    )  # fmt: skip
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(PACKAGE.parent)}
    env = {**os.environ, **path}
    done = subprocess.run([bash, "-c", script], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.splitlines() == [
        "wsl-5090",
        "wsl-5090-ptx",
        "complete -o default -F _mambaops mambaops",
    ]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_can_read_theirs(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell}")
    (tmp_path / "script").write_text(SCRIPTS[shell])
    done = subprocess.run(
        [program, "-n", str(tmp_path / "script")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
