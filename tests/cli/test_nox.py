"""The pipelines: a session per profile, whose steps are the plan's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mambaops.cli import collection
from mambaops.core.paths import CHECKOUT
from mambaops.profiles.load import names
from mambaops.steps import all_steps


def nox(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "MAMBAOPS_HOME": str(home)}
    argv = [sys.executable, "-m", "nox", "--no-color", *words]
    return subprocess.run(
        argv, capture_output=True, text=True, cwd=CHECKOUT, env=env, check=False, timeout=200
    )


def test_every_profile_is_a_session_and_tests_is_the_default(tmp_path: Path) -> None:
    listed = nox("--list", home=tmp_path)
    assert listed.returncode == 0, listed.stderr
    lines = listed.stdout.splitlines()
    for name in [*names(), "lint", "typecheck", "build_real", "train_stage2", "bench"]:
        assert any(line.startswith(f"- {name} ") for line in lines), name
    assert any(line.startswith("* tests ") for line in lines)
    for step in all_steps():
        there = any(line.startswith(f"- {step.id} ") for line in lines)
        assert there == (step.act is not None), step.id


def options(name: str) -> set[str]:
    """The long options of a task."""
    return {flag for one in collection()[name].get_arguments() for flag in one.names}


@pytest.mark.parametrize("step", [step.id for step in all_steps() if step.act is not None])
def test_every_step_takes_what_a_pipeline_hands_on(step: str) -> None:
    """A session passes the words behind `--` to each of its steps: all know every option of the main job."""
    # --profile, the session names itself
    assert options("build-mamba") - options(step) == set()
    assert options("build-mamba") - options("plan") == set()


@pytest.mark.parametrize("profile", ["ubuntu20-graph-mamba", "windows-5090"])
def test_a_profile_for_another_machine_stops_and_says_why(profile: str, tmp_path: Path) -> None:
    done = nox("-s", profile, home=tmp_path / "home")
    assert done.returncode == 4
    said = done.stdout + done.stderr
    assert "check-machine" in said
    assert "is for another machine" in said
    assert not (tmp_path / "home" / "envs").exists()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["verify", "--", "--profile", "nope"], 2),
        (["install-torch", "--", "-p", "windows-5090"], 4),
    ],
)
def test_a_session_of_a_step_ends_with_the_steps_exit_code(
    words: list[str], status: int, tmp_path: Path
) -> None:
    done = nox("-s", *words, home=tmp_path / "home")
    assert done.returncode == status, done.stdout + done.stderr
