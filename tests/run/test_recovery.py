"""Safe remedies after a failed step: applied once, said aloud, and nothing outside of our folders."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mambaops.decide.situation import Flags
from mambaops.diagnose.rules import load
from mambaops.profiles.load import load_profile
from mambaops.run.recovery import (
    AGREED,
    CLEAN_CACHES,
    CLEAN_TREES,
    FEWER_JOBS,
    MORE_ROOM,
    REMEDIES,
    apply,
    explain_failure,
    result_of,
    with_own_folder,
    without,
)
from mambaops.run.runner import Done, Run
from mambaops.state.evidence import RunLog

# a Python whose pip has one wheel in its cache
PIP = """#!/bin/sh
case "$*" in
    "-m pip cache list"*mamba_ssm) test ! -e '{wheel}' || echo '{wheel}' ;;
    "-m pip cache remove mamba_ssm") rm '{wheel}' ;;
esac
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path / "home"))
    return Run(load_profile("local"), Flags(), lambda line: None)


def test_every_remedy_belongs_to_a_rule_of_the_catalogue() -> None:
    assert set(REMEDIES) <= {rule.id for rule in load().rules}


def test_the_names_that_are_remembered_on_peoples_machines_stay() -> None:
    mine = [one.name for one in (FEWER_JOBS, CLEAN_TREES, CLEAN_CACHES)]
    assert mine == ["fewer-jobs", "clean-trees", "clean-caches"]
    assert {one.name for one in AGREED.values()} == {
        *mine, "without-LD_LIBRARY_PATH", "without-CUDA_HOME", "own-TRITON_CACHE_DIR", "own-TMPDIR",
    }  # fmt: skip


def test_out_of_memory_means_one_compiler_at_a_time_and_only_once(run: Run) -> None:
    said: list[str] = []
    assert FEWER_JOBS.shows(run) == ["compile one file at a time (`--jobs 1`)"]
    assert apply(run, ["compiler-oom-killed"], said.append)
    assert run.jobs == 1
    assert "one at a time" in said[0]
    assert not apply(run, ["compiler-oom-killed"], said.append)
    assert FEWER_JOBS.shows(run) == []


def test_stale_objects_are_removed_and_nothing_else(run: Run) -> None:
    tree = run.where.build / "mamba-ssm-2.3.2.post1-0a1b2c3d" / "mamba_ssm-2.3.2.post1"
    (tree / "build" / "temp").mkdir(parents=True)
    (tree / "setup.py").write_text("", encoding="utf-8")
    other = run.where.build / "causal-conv1d-1.7.0-0a1b2c3d" / "causal_conv1d-1.7.0"
    other.mkdir(parents=True)
    (other / "build").write_text("a script of that name", encoding="utf-8")
    said: list[str] = []
    assert apply(run, ["objects-missing-at-link"], said.append)
    assert not (tree / "build").exists()
    assert (tree / "setup.py").exists()
    assert (other / "build").exists()
    assert said == [f"remedy: removed the stale objects in {tree / 'build'}"]
    assert not apply(run, ["objects-missing-at-link"], said.append)


@pytest.mark.parametrize("rule", ["wheel-truncated", "pip-hash-mismatch", "pip-cache-stale-abi"])
def test_a_damaged_wheel_is_taken_out_of_the_caches(
    run: Run, rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, python = tmp_path / "mamba_ssm-2.3.2-py3-none-any.whl", tmp_path / "python"
    wheel.write_bytes(b"half of it")
    python.write_text(PIP.format(wheel=wheel), encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    said: list[str] = []
    assert apply(run, [rule, rule], said.append)
    assert not wheel.exists()
    assert said == [f"remedy: took {wheel} out of the caches of pip and uv"]
    assert not apply(run, [rule], said.append)
    assert said[1:] == ["remedy: took nothing out of the caches of pip and uv"]


def test_what_needs_a_person_is_left_to_them(run: Run) -> None:
    assert not apply(run, ["python-h-missing", "unsupported-gnu-version"], lambda line: None)


@pytest.mark.parametrize(
    ("rule", "variable"),
    [
        ("nvjitlink-shadowed", "LD_LIBRARY_PATH"),
        ("nvidia-library-shadowed", "LD_LIBRARY_PATH"),
        ("glibcxx-too-old", "LD_LIBRARY_PATH"),
        ("cuda-home-list", "CUDA_HOME"),
        ("cuda-home-has-no-nvcc", "CUDA_HOME"),
    ],
)
def test_a_variable_in_the_way_is_left_out_where_the_person_agrees(
    run: Run, rule: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "/opt/old")
    assert not apply(run, [rule], lambda line: None)  # never unasked
    assert AGREED[rule].shows(run) == [
        f"run without {variable} (now /opt/old); for your shell: `unset {variable}`"
    ]
    assert without(variable).act(run, lambda line: None)
    assert variable not in os.environ
    assert not AGREED[rule].act(run, lambda line: None)


def test_a_folder_of_our_own_that_is_in_use_is_no_remedy(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(run.where.root / "triton"))
    remedy = with_own_folder("TRITON_CACHE_DIR", "triton")
    assert not remedy.act(run, lambda line: None)
    assert not (run.where.root / "triton").exists()


@pytest.mark.parametrize(
    ("second", "result"),
    [
        (["disk-full"], "did not help"),
        ([], "did not help"),  # nobody knows of another failure
        (["python-h-missing"], "another failure came after it"),
    ],
)
def test_what_a_remedy_came_to(second: list[str], result: str) -> None:
    assert result_of("disk-full", second) == result


@pytest.mark.parametrize(
    ("more", "helps"),
    [(0, False), (MORE_ROOM - 1, False), (MORE_ROOM, True), (2 * MORE_ROOM, True)],
)
def test_our_own_disk_for_temporary_files_where_it_has_a_gigabyte_more(
    run: Run, more: int, helps: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_usage(path: Path) -> SimpleNamespace:
        assert path.exists()  # as the real one
        return SimpleNamespace(free=5000 if path == full else 5000 + more)

    full, own = tmp_path / "full", run.where.root / "tmp"
    full.mkdir()
    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    monkeypatch.setattr("tempfile.tempdir", str(full))
    monkeypatch.setenv("TMPDIR", str(full))
    remedy, said = AGREED["disk-full"], list[str]()
    assert remedy.shows(run) == [f"run with TMPDIR={own}"] * helps
    assert remedy.act(run, said.append) is helps
    assert own.is_dir() is helps
    assert os.environ["TMPDIR"] == str(own if helps else full)
    assert said == [f"remedy: TMPDIR={own} for this run"] * helps


def test_a_gigabyte_is_one() -> None:
    assert MORE_ROOM == 1024**3


KILLED = "c++: fatal error: Killed signal terminated program cc1plus\ncompilation terminated.\n"
WARNED = "UserWarning: There are no g++ version bounds defined for CUDA version 11.8\n"


@pytest.mark.parametrize(
    ("text", "rules", "told"),
    [
        (KILLED, ["compiler-oom-killed"], True),
        (WARNED + KILLED, ["compiler-oom-killed"], True),
        (WARNED, [], False),  # a warning that is often blamed is no cause
        ("Successfully installed x-1\n", [], False),
    ],
)
def test_causes_are_read_from_the_logs_of_what_failed(
    run: Run, text: str, rules: list[str], told: bool
) -> None:
    said: list[str] = []
    run.log = RunLog.begin(run.where.runs, "local")
    assert (explain_failure(run, said.append), said) == ([], [])  # nothing has failed yet
    log = run.log.log("prepare-build")
    log.write_text(text, encoding="utf-8")
    run.done = [Done(step="prepare-build", outcome="failed")]
    assert explain_failure(run, said.append) == rules
    assert (len(said) > 1) is told  # the cause, before the log is named
    assert said[-1] == f"full log: {log}"
