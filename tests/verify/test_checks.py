"""What is proven of an environment and what is not: real interpreters, real compiled modules."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from recorded import varied
from target_environment import TargetEnvironment

from mambaops.decide.case import Case, make_case
from mambaops.decide.situation import Flags, Situation
from mambaops.profiles.load import load_profile
from mambaops.verify.checks import Check, Verification, report, verify


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not there to make a real module")
    return tmp_path_factory.mktemp("modules")


@pytest.fixture
def env(tmp_path: Path, shared: Path) -> TargetEnvironment:
    made = TargetEnvironment(tmp_path / "env", shared)
    made.whole()
    return made


def case_of(
    env: TargetEnvironment,
    *,
    arch: str = "9.0",
    cross: bool = False,
    machine: str = "no-gpu",
    **facts: Any,
) -> Case:
    """A machine with one H100 has `machine="hopper"`; `facts` change the machine."""
    target = env.facts(machine)
    situation = Situation(facts=varied(machine, facts), target=target)
    return make_case(load_profile("local"), situation, Flags(arch=arch, cross=cross))


def checked(case: Case, python: Path) -> dict[str, Check]:
    return {one.id: one for one in verify(case, python).checks}


def lines(*checks: dict[str, Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in checks)


IMPORTED = lines(
    *(
        {"module": name, "outcome": "ok", "reason": "", "version": "1", "file": "f", "seconds": 0.1}
        for name in (
            "torch",
            "causal_conv1d_cuda",
            "causal_conv1d",
            "selective_scan_cuda",
            "mamba_ssm",
        )
    )
)
GOOD = lines({"id": "scan-float32", "outcome": "ok", "value": 1e-6})
HOPPER = {"gpus": [{"index": 0, "name": "NVIDIA H100", "compute_capability": "9.0"}]}


def test_a_whole_environment_without_a_gpu_has_passed(
    env: TargetEnvironment, tmp_path: Path
) -> None:
    log = tmp_path / "verify.log"
    result = verify(case_of(env), env.python, log)
    assert {one.id: one.outcome for one in result.checks} == {
        "import:torch": "ok",
        "import:causal_conv1d_cuda": "ok",
        "import:causal_conv1d": "ok",
        "import:selective_scan_cuda": "ok",
        "import:mamba_ssm": "ok",
        "place:causal-conv1d": "ok",
        "place:mamba-ssm": "ok",
        "generation": "ok",
        "architectures:causal_conv1d_cuda": "ok",
        "glibc:causal_conv1d_cuda": "ok",
        "architectures:selective_scan_cuda": "ok",
        "glibc:selective_scan_cuda": "ok",
        "results": "skipped",
    }
    assert result.passed
    assert result.required_skips == []
    found = {one.id: one for one in result.checks}
    assert found["import:mamba_ssm"].value["version"] == "2.3.2.post1"
    assert found["import:mamba_ssm"].value["file"] == str(env.site / "mamba_ssm.py")
    assert found["architectures:selective_scan_cuda"].value == {
        "cubins": ["7.5", "8.0", "8.6", "9.0"],
        "ptx": ["9.0"],
    }
    assert found["generation"].value == "D/D"
    assert found["results"].reason.startswith("no GPU here")
    assert '"module": "torch"' in log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arch", "lacking"),
    [
        ("9.0+PTX", ""),
        ("8.0+PTX", "8.0+PTX asked for and not inside"),
        ("12.0", "12.0 asked for and not inside"),
        ("8.0;9.0", ""),
        ("8.9", ""),
        ("8.0;10.0;12.0+PTX", "10.0, 12.0+PTX asked for and not inside"),
        ("7.0", "7.0 asked for and not inside"),
    ],
)
def test_what_was_asked_for_is_inside(env: TargetEnvironment, arch: str, lacking: str) -> None:
    """The modules hold machine code for 7.5, 8.0, 8.6 and 9.0, and PTX for 9.0."""
    found = checked(case_of(env, arch=arch), env.python)["architectures:selective_scan_cuda"]
    assert (found.outcome, found.reason) == ("failed" if lacking else "ok", lacking)
    assert found.value == {"cubins": ["7.5", "8.0", "8.6", "9.0"], "ptx": ["9.0"]}


@pytest.mark.parametrize(
    ("arch", "outcome"), [("9.0a", "ok"), ("12.0a", "failed"), ("12.0f", "failed")]
)
def test_machine_code_of_one_gpu_alone(env: TargetEnvironment, arch: str, outcome: str) -> None:
    """`plain` holds 8.0, 9.0a and 12.0: a name with a letter is found by that very name."""
    env.whole("plain")
    case = case_of(env, arch=arch)
    assert checked(case, env.python)["architectures:selective_scan_cuda"].outcome == outcome


@pytest.mark.parametrize(
    ("capability", "fatbin", "reason"),
    [
        ("8.9", "rdc", ""),
        ("12.0", "rdc", "no code for NVIDIA New (12.0)"),
        ("12.0", "multi", ""),
        ("7.0", "multi", "no code for NVIDIA New (7.0)"),
        (None, "rdc", ""),
    ],
)
def test_every_gpu_here_has_code(
    env: TargetEnvironment, capability: str | None, fatbin: str, reason: str
) -> None:
    """`rdc` holds 8.0 and 9.0 and no PTX; `multi` has PTX for 9.0, which newer GPUs take."""
    env.whole(fatbin)
    gpus = [{"index": 0, "name": "NVIDIA New", "compute_capability": capability}]
    python = env.stand_in({"smoke.py": (IMPORTED, "", 0), "numerics.py": (GOOD, "", 0)})
    case = case_of(env, gpus=gpus, machine="no-gpu")
    found = checked(case, python)["architectures:selective_scan_cuda"]
    assert (found.outcome, found.reason) == ("failed" if reason else "ok", reason)


def test_with_cross_the_gpu_here_does_not_count(env: TargetEnvironment) -> None:
    env.whole("rdc")
    gpus = [{"index": 0, "name": "NVIDIA New", "compute_capability": "12.0"}]
    python = env.stand_in({"smoke.py": (IMPORTED, "", 0), "numerics.py": (GOOD, "", 0)})
    found = checked(case_of(env, gpus=gpus, cross=True), python)
    assert found["architectures:selective_scan_cuda"].outcome == "ok"


def test_a_package_outside_of_the_environment(env: TargetEnvironment) -> None:
    env.packages["mamba-ssm"]["path"] = str(env.folder) + "-other/lib/mamba_ssm"
    result = verify(case_of(env), env.python)
    found = {one.id: one for one in result.checks}
    assert found["place:mamba-ssm"].outcome == "failed"
    assert found["place:mamba-ssm"].reason == f"it lies outside the environment {env.folder}"
    assert found["place:causal-conv1d"].outcome == "ok"
    assert not result.passed


def test_a_source_folder_that_stands_before_the_package(env: TargetEnvironment) -> None:
    env.packages["mamba-ssm"]["shadowed_by"] = "/home/user/mamba"
    found = checked(case_of(env), env.python)["place:mamba-ssm"]
    assert (found.outcome, found.reason) == ("failed", "`import` takes /home/user/mamba instead")


@pytest.mark.parametrize(
    ("gone", "module"),
    [("causal-conv1d", "causal_conv1d_cuda"), ("mamba-ssm", "selective_scan_cuda")],
)
def test_half_a_pair(env: TargetEnvironment, gone: str, module: str) -> None:
    del env.packages[gone]
    result = verify(case_of(env), env.python)
    found = {one.id: one for one in result.checks}
    assert found[f"place:{gone}"].outcome == "failed"
    assert found[f"place:{gone}"].reason == "it is not installed"
    assert found["generation"].outcome == "skipped"
    assert found["generation"].reason == "only one of them is installed"
    assert found[f"binary:{gone}"].reason == f"no compiled module is there: {module}"
    assert not result.passed


def test_a_pair_that_does_not_go_together(env: TargetEnvironment) -> None:
    env.packages["causal-conv1d"]["version"] = "1.1.1"
    found = checked(case_of(env), env.python)["generation"]
    assert found.outcome == "failed"
    assert "mamba-ssm 2.3.2.post1 calls causal-conv1d in another way" in found.reason


def test_a_package_without_a_compiled_module(env: TargetEnvironment) -> None:
    env.packages["mamba-ssm"]["extensions"] = []
    found = checked(case_of(env), env.python)["binary:mamba-ssm"]
    assert found.outcome == "failed"
    assert found.reason == "no compiled module is there: selective_scan_cuda"


def test_a_compiled_module_is_named_from_its_package(env: TargetEnvironment) -> None:
    folder = env.site / "mamba_ssm"
    folder.mkdir()
    (env.site / "selective_scan_cuda.so").rename(folder / "selective_scan_cuda.so")
    env.packages["mamba-ssm"]["extensions"] = ["selective_scan_cuda.so"]
    found = checked(case_of(env, arch="8.0"), env.python)
    assert found["architectures:selective_scan_cuda"].outcome == "ok"
    assert "binary:mamba-ssm" not in found


def test_a_module_without_kernels_needs_no_architecture(env: TargetEnvironment) -> None:
    folder = env.site / "mamba_ssm"
    folder.mkdir()
    shutil.copy(env.site / "selective_scan_cuda.so", folder / "helper.so")
    env.packages["mamba-ssm"]["extensions"].append("helper.so")
    found = checked(case_of(env, arch="12.0"), env.python)
    assert found["architectures:selective_scan_cuda"].outcome == "failed"
    assert "architectures:helper" not in found
    assert found["glibc:helper"].outcome == "ok"


def test_a_compiled_module_that_is_none(env: TargetEnvironment) -> None:
    (env.site / "selective_scan_cuda.so").write_bytes(b"<html>404</html>")
    found = checked(case_of(env), env.python)
    assert found["architectures:selective_scan_cuda"].outcome == "failed"
    assert "is not an ELF file" in found["architectures:selective_scan_cuda"].reason
    assert found["import:selective_scan_cuda"].outcome == "failed"
    assert found["import:selective_scan_cuda"].reason.startswith("ImportError: ")
    assert found["import:selective_scan_cuda"].value is None


@pytest.mark.parametrize(
    ("here", "outcome", "reason"),
    [
        ("2.2.5", "ok", ""),
        ("2.2", "failed", "needs GLIBC_2.2.5, here is 2.2: `mambaops repair-wheel`"),
        ("2.36", "ok", ""),
        (None, "skipped", "not known here"),
    ],
)
def test_the_system_has_the_symbols(
    env: TargetEnvironment, here: str | None, outcome: str, reason: str
) -> None:
    found = checked(case_of(env, host={"glibc": here}), env.python)["glibc:selective_scan_cuda"]
    assert (found.outcome, found.reason) == (outcome, reason)
    assert found.value["glibc"] == "2.2.5"


def test_an_import_that_fails_is_named_with_its_error(env: TargetEnvironment) -> None:
    env.module("mamba_ssm", "raise ImportError('undefined symbol: _ZN3c10')")
    result = verify(case_of(env), env.python)
    found = {one.id: one for one in result.checks}["import:mamba_ssm"]
    assert (found.outcome, found.reason) == ("failed", "ImportError: undefined symbol: _ZN3c10")
    assert not result.passed


def test_an_import_that_takes_the_interpreter_down(env: TargetEnvironment) -> None:
    env.module("causal_conv1d", "import os; os._exit(3)")
    found = checked(case_of(env), env.python)
    assert found["import:causal_conv1d_cuda"].outcome == "ok"
    for module in ("causal_conv1d", "selective_scan_cuda"):
        assert found[f"import:{module}"].outcome == "failed"
        assert found[f"import:{module}"].reason == "the interpreter ended with 3 during the import"


def test_what_a_package_prints_is_no_answer(env: TargetEnvironment) -> None:
    env.module("mamba_ssm", "print('hello'); print('[1, 2]'); print('{\"id\": \"results\"}')")
    assert checked(case_of(env), env.python)["import:mamba_ssm"].outcome == "ok"


def test_a_stand_in_is_no_kernel(env: TargetEnvironment) -> None:
    env.module("causal_conv1d", "__mambaops_standin__ = True")
    found = checked(case_of(env), env.python)["import:causal_conv1d"]
    assert found.outcome == "skipped"
    assert "not the compiled kernels" in found.reason
    assert found.value == str(env.site / "causal_conv1d.py")


def test_neither_the_folder_nor_the_users_settings_count(
    env: TargetEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkout in the working folder, or on PYTHONPATH, does not stand for the package."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "mamba_ssm.py").write_text("raise ImportError('the checkout')", encoding="utf-8")
    monkeypatch.chdir(checkout)
    monkeypatch.setenv("PYTHONPATH", str(checkout))
    assert checked(case_of(env), env.python)["import:mamba_ssm"].outcome == "ok"


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


def test_without_kernels_our_own_scan_is_tried(env: TargetEnvironment) -> None:
    case = case_of(env, arch="")
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
    found = checked(case_of(env, arch=""), env.python)["scan-without-kernels"]
    assert found.outcome == "failed"
    assert "Error" in found.reason
    assert found.value is None


def test_without_a_word_the_scan_has_failed(env: TargetEnvironment) -> None:
    python = env.stand_in({"smoke.py": (IMPORTED, "", 0), "-c": ("", "", 5)})
    found = checked(case_of(env, arch=""), python)["scan-without-kernels"]
    assert (found.outcome, found.reason) == ("failed", "no output")


def test_a_third_package_has_a_module_of_its_own(env: TargetEnvironment) -> None:
    env.package("selective-scan", "0.0.2", [env.extension("selective_scan_cuda_oflex", "multi")])
    env.packages["selective-scan"]["path"] = str(env.site)
    target = env.facts("debian10-a800")
    situation = Situation(facts=target, target=target)
    case = make_case(load_profile("debian-a800"), situation, Flags(arch="8.0", cross=True))
    found = checked(case, env.python)
    assert found["import:selective_scan_cuda_oflex"].outcome == "ok"
    assert found["architectures:selective_scan_cuda_oflex"].outcome == "ok"


def test_the_report_counts_a_skip_as_a_skip() -> None:
    checks = [
        Check(id="a", outcome="ok"),
        Check(id="b", outcome="skipped", reason="no GPU"),
        Check(id="c", outcome="failed", reason="broken"),
        Check(id="d", outcome="ok"),
    ]
    assert report(Verification(checks=checks)) == [
        "  ok      a",
        "  skipped b: no GPU",
        "  failed  c: broken",
        "  ok      d",
        "2 passed, 1 failed, 1 skipped",
    ]


@pytest.mark.parametrize(
    ("outcomes", "required", "passed"),
    [
        (["ok"], [], True),
        (["ok", "skipped"], [], True),
        (["ok", "failed"], [], False),
        (["ok"], ["x"], False),
    ],
)
def test_what_has_passed(outcomes: list[str], required: list[str], passed: bool) -> None:
    checks = [Check(id="x", outcome=one) for one in outcomes]
    assert Verification(checks=checks, required_skips=required).passed is passed
