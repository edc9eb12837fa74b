"""How the results are asked for: which script, on which device, and what its end means."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from proofs import GOOD, HOPPER, IMPORTED, case_of, checked, imported, lines
from target_environment import TargetEnvironment

from mambaops.core.json_lines import json_lines
from mambaops.core.paths import PACKAGE, payload_file
from mambaops.decide.case import Case
from mambaops.knowledge.packages import packages
from mambaops.verify import checks, results
from mambaops.verify.checks import verify
from mambaops.verify.results import target_environment

SCATTER = {"torch-scatter": ""}
ON_CPU = lines({"id": "results:torch-scatter:cpu", "outcome": "ok", "value": "cpu"})
HANGING = """#!/bin/sh
echo '{"module": "torch", "outcome": "ok", "reason": "", "version": "1"}'
echo '{"id": "scan-float32", "outcome": "ok"}'
exec sleep 60
"""


def asked(env: TargetEnvironment) -> list[list[str]]:
    """Words of each call but that for the imports, without the folder of our scripts."""
    found = [[Path(words[0]).name, *words[1:]] for words in env.calls()]
    return [words for words in found if words[0] != "smoke.py"]


def call_of(env: TargetEnvironment, script: str) -> dict[str, Any]:
    (found,) = [one for one in env.seen() if Path(one["words"][0]).name == script]
    return found


def own_package(folder: Path, check: str) -> dict[str, str]:
    """A package file of a person's own, without modules."""
    text = f"""name = "own"
title = "ours"
[source]
version = "1.0"
origin = "git"
repository = "https://example.org/own"
[architectures]
route = "environment"
[modules]
imports = ["own"]
kernels = ["own"]
{check}"""
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return {"own": str(path)}


def test_two_packages_with_one_script_are_checked_by_one_call(
    env: TargetEnvironment, tmp_path: Path
) -> None:
    python = env.stand_in({"smoke.py": (IMPORTED, "", 0), "numerics.py": (GOOD, "", 0)})
    log = tmp_path / "verify.log"
    result = verify(case_of(env, **HOPPER), python, log)
    assert [one.id for one in result.checks][-1] == "scan-float32"
    assert asked(env) == [["numerics.py"]]
    assert call_of(env, "numerics.py")["words"] == [str(payload_file("numerics.py"))]
    assert '"id": "scan-float32"' in log.read_text(encoding="utf-8")


@pytest.mark.parametrize("script", ["smoke.py", "numerics.py"])
def test_our_scripts_run_apart_from_the_users_python(
    env: TargetEnvironment, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("PYTHONNOUSERSITE", "")
    monkeypatch.setenv("OF_THE_USER", "kept")
    python = env.stand_in({"smoke.py": (IMPORTED, "", 0), "numerics.py": (GOOD, "", 0)})
    checked(case_of(env, **HOPPER), python)
    call = call_of(env, script)
    assert call["folder"] == "/"
    assert "PYTHONPATH" not in call["env"]
    assert call["env"]["PYTHONNOUSERSITE"] == "1"
    assert call["env"]["OF_THE_USER"] == "kept"


def test_the_environment_of_our_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    ours = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    more = {"LC_ALL": "C.UTF-8", "PYTHONNOUSERSITE": "1", "PYTHONUNBUFFERED": "1"}
    assert target_environment() == {**ours, **more}
    monkeypatch.delenv("PYTHONPATH")
    assert target_environment() == {**ours, **more}


def test_objects_among_what_is_printed() -> None:
    text = '{"a": 1}\nhello\n[1, 2]\n3\n\n{"a": 2}\n{"a": '
    assert list(json_lines(text)) == [{"a": 1}, {"a": 2}]


def test_a_packages_own_check_where_no_gpu_is(env: TargetEnvironment, tmp_path: Path) -> None:
    said = {"smoke.py": (IMPORTED, "", 0), "package_check.py": (ON_CPU, "", 0)}
    python = env.stand_in(said)
    log = tmp_path / "verify.log"
    result = verify(case_of(env, added=SCATTER), python, log)
    found = {one.id: one for one in result.checks}
    assert asked(env) == [["package_check.py", "torch-scatter", "cpu"]]
    assert (found["results:torch-scatter:cpu"].outcome, found["results"].outcome) == (
        "ok", "skipped",
    )  # fmt: skip
    call = call_of(env, "package_check.py")
    assert call["words"][0] == str(payload_file("package_check.py"))
    assert call["input"] == packages()["torch-scatter"].check.code
    assert '"id": "results:torch-scatter:cpu"' in log.read_text(encoding="utf-8")


def test_a_packages_own_check_on_every_device_that_is_here(env: TargetEnvironment) -> None:
    said = {"smoke.py": (IMPORTED, "", 0), "numerics.py": (GOOD, "", 0)}
    python = env.stand_in({**said, "package_check.py": ("", "a\nno kernel image\n", 1)})
    found = verify(case_of(env, added=SCATTER, **HOPPER), python)
    assert asked(env) == [
        ["package_check.py", "torch-scatter", "cpu"],
        ["package_check.py", "torch-scatter", "cuda"],
        ["numerics.py"],
    ]
    broken = [one for one in found.checks if one.id == "results:torch-scatter"]
    assert [(one.outcome, one.reason) for one in broken] == [
        ("failed", "exit 1: no kernel image")
    ] * 2
    assert not found.passed


def test_a_check_for_a_gpu_alone_is_not_run_without_one(
    env: TargetEnvironment, tmp_path: Path
) -> None:
    python = env.stand_in({"smoke.py": (IMPORTED, "", 0)})
    added = own_package(tmp_path, '[check]\ncode = "pass"\n')
    found = checked(case_of(env, added=added), python)
    assert asked(env) == []
    assert found["results"].outcome == "skipped"
    assert "results:own" not in found


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ("", "its package file has no check of results"),
        ('[check]\nscript = "numerics.py"\n', None),
        ('[check]\ncode = "pass"\n', None),
    ],
)
def test_a_package_without_a_check_of_results_is_not_proven(
    env: TargetEnvironment, tmp_path: Path, check: str, reason: str | None
) -> None:
    own = lines({"id": "own-result", "outcome": "ok"})
    said = {"smoke.py": (IMPORTED, "", 0), "numerics.py": (GOOD, "", 0)}
    python = env.stand_in({**said, "package_check.py": (own, "", 0)})
    result = verify(case_of(env, added=own_package(tmp_path, check), **HOPPER), python)
    found = {one.id: one for one in result.checks}
    skipped = [one.reason for one in result.checks if one.id == "results:own"]
    assert skipped == ([reason] if reason else [])
    assert result.required_skips == (["results:own"] if reason else [])
    assert ("own-result" in found) is ("code" in check)
    assert {"results:mamba-ssm", "results:causal-conv1d"}.isdisjoint(found)


def test_results_on_a_gpu_are_proof(env: TargetEnvironment) -> None:
    python = env.stand_in({"smoke.py": (IMPORTED, "", 0), "numerics.py": (GOOD, "", 0)})
    result = verify(case_of(env, **HOPPER), python)
    found = {one.id: one for one in result.checks}
    assert found["scan-float32"].outcome == "ok"
    assert found["scan-float32"].value == 1e-6
    assert "results" not in found
    assert result.passed


def test_a_skipped_check_is_no_pass_where_a_gpu_is(env: TargetEnvironment) -> None:
    skipped = lines({"id": "scan-bfloat16", "outcome": "skipped", "reason": "no such type"})
    python = env.stand_in({"smoke.py": (IMPORTED, "", 0), "numerics.py": (GOOD + skipped, "", 0)})
    result = verify(case_of(env, **HOPPER), python)
    assert result.required_skips == ["scan-bfloat16"]
    assert not result.passed


def test_a_result_that_differs_is_a_failure(env: TargetEnvironment) -> None:
    wrong = lines({"id": "scan-float16", "outcome": "failed", "reason": "differs by 3"})
    python = env.stand_in({"smoke.py": (IMPORTED, "", 0), "numerics.py": (wrong, "", 0)})
    result = verify(case_of(env, **HOPPER), python)
    assert {one.id: one.outcome for one in result.checks}["scan-float16"] == "failed"
    assert not result.passed


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            (GOOD, "Traceback\nCUDA error: illegal access\n", 1),
            "exit 1: CUDA error: illegal access",
        ),
        (("", "", 0), "exit 0: no output"),
        (("hello\n", "", 2), "exit 2: no output"),
    ],
)
def test_numerics_that_break_are_a_failure(
    env: TargetEnvironment, answer: tuple[str, str, int], reason: str
) -> None:
    python = env.stand_in({"smoke.py": (IMPORTED, "", 0), "numerics.py": answer})
    found = checked(case_of(env, **HOPPER), python)["results"]
    assert (found.outcome, found.reason) == ("failed", reason)


def without_kernels(env: TargetEnvironment) -> Case:
    """Nothing was asked for, and nothing is installed."""
    env.packages.clear()
    return case_of(env, arch="")


def test_without_kernels_our_own_scan_is_tried(env: TargetEnvironment) -> None:
    case = without_kernels(env)
    assert not case.choice.kernels
    result = verify(
        case, env.stand_in({"smoke.py": (IMPORTED, "", 0), "-c": ("(2, 8, 65)\n", "", 0)})
    )
    assert {one.id: one.outcome for one in result.checks} == {
        "import:torch": "ok",
        "scan-without-kernels": "ok",
    }
    assert result.checks[-1].value == "(2, 8, 65)"
    assert result.passed


def test_without_kernels_a_torch_that_cannot_is_a_failure(env: TargetEnvironment) -> None:
    found = checked(without_kernels(env), env.python)["scan-without-kernels"]
    assert found.outcome == "failed"
    assert "Error" in found.reason
    assert found.value is None


def test_without_a_word_the_scan_has_failed(env: TargetEnvironment) -> None:
    python = env.stand_in({"smoke.py": (IMPORTED, "", 0), "-c": ("", "", 5)})
    found = checked(without_kernels(env), python)["scan-without-kernels"]
    assert (found.outcome, found.reason) == ("failed", "no output")


def test_what_is_no_check_is_no_result(env: TargetEnvironment) -> None:
    chatter = lines({"progress": 1})
    python = env.stand_in({"smoke.py": (IMPORTED, "", 0), "numerics.py": (chatter, "", 0)})
    found = checked(case_of(env, **HOPPER), python)
    assert (found["results"].outcome, found["results"].reason) == ("failed", "exit 0: no output")


def test_results_that_came_before_the_end_are_kept(env: TargetEnvironment) -> None:
    python = env.stand_in({"smoke.py": (IMPORTED, "", 0), "numerics.py": (GOOD, "x\ny\n", 3)})
    found = checked(case_of(env, **HOPPER), python)
    assert found["scan-float32"].outcome == "ok"
    assert found["results"].reason == "exit 3: y"


def test_a_kernel_that_hangs(env: TargetEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    python = env.stand_in({})
    python.write_text(HANGING, encoding="utf-8")
    monkeypatch.setattr(results, "NUMERICS_SECONDS", 0.5)
    monkeypatch.setattr(checks, "IMPORT_SECONDS", 0.5)
    found = checked(case_of(env, **HOPPER), python)
    assert found["results"].reason == "time ran out: a kernel hangs"
    assert found["import:mamba_ssm"].outcome == "failed"
    assert found["import:mamba_ssm"].reason == "time ran out during the import"


def test_our_own_scan_runs_in_the_targets_python(env: TargetEnvironment, tmp_path: Path) -> None:
    said = {"smoke.py": (imported("torch"), "", 0), "-c": (" (2, 8, 65)\n", "x\nwarning\n", 0)}
    log = tmp_path / "verify.log"
    result = verify(without_kernels(env), env.stand_in(said), log)
    scan = result.checks[-1]
    assert (scan.outcome, scan.reason, scan.value) == ("ok", "", "(2, 8, 65)")
    (call,) = [one for one in env.seen() if one["words"][0] == "-c"]
    assert "selective_scan" in call["words"][1]
    assert call["env"]["PYTHONPATH"] == str(PACKAGE.parent)
    assert call["env"]["PYTHONNOUSERSITE"] == "1"
    assert " (2, 8, 65)" in log.read_text(encoding="utf-8")


def test_the_last_line_says_why_our_own_scan_failed(env: TargetEnvironment) -> None:
    said = {"smoke.py": (imported("torch"), "", 0), "-c": ("half\n", "x\ny\nz\n", 1)}
    found = checked(without_kernels(env), env.stand_in(said))["scan-without-kernels"]
    assert (found.outcome, found.reason, found.value) == ("failed", "z", "half")
