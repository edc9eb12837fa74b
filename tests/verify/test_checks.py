"""What is proven of an environment and what is not: real interpreters, real compiled modules."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from compiled_profiles import compiled
from proofs import GOOD, HOPPER, IMPORTED, case_of, checked, lines
from recorded import facts_of
from target_environment import TargetEnvironment

from mambaops.decide.case import make_case
from mambaops.decide.memory import Made
from mambaops.decide.situation import Flags, Situation
from mambaops.knowledge.releases import generation
from mambaops.verify.checks import Check, Verification, report, verify


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
    place = found["place:mamba-ssm"]
    assert (place.reason, place.value) == ("", str(env.site / "mamba_ssm"))
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
    first, second = str(found.value).split("/")
    assert (first, second) == ("D", generation("causal-conv1d", "1.1.1"))


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
        ("2.2", "failed", "needs GLIBC_2.2.5, here is 2.2: `mambaops --help repair-wheel`"),
        ("2.36", "ok", ""),
        (None, "skipped", "not known here"),
    ],
)
def test_the_system_has_the_symbols(
    env: TargetEnvironment, here: str | None, outcome: str, reason: str
) -> None:
    found = checked(case_of(env, host={"glibc": here}), env.python)["glibc:selective_scan_cuda"]
    assert (found.outcome, found.reason) == (outcome, reason)
    assert found.value == {"glibc": "2.2.5", "glibcxx": None}


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
    assert found.outcome == "failed"
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


def test_a_third_package_has_a_module_of_its_own(env: TargetEnvironment) -> None:
    env.package("selective-scan", "0.0.2", [env.extension("selective_scan_cuda_oflex", "multi")])
    env.packages["selective-scan"]["path"] = str(env.site)
    target = env.facts("debian10-a800")
    situation = Situation(facts=target, target=target)
    case = make_case(compiled("debian-a800"), situation, Flags(arch="8.0", cross=True))
    found = checked(case, env.python)
    assert found["import:selective_scan_cuda_oflex"].outcome == "ok"
    assert found["architectures:selective_scan_cuda_oflex"].outcome == "ok"


def test_modules_below_the_package_that_are_missing(env: TargetEnvironment) -> None:
    file = str(env.site / env.extension("_scatter_cuda", "multi"))
    env.package("torch-scatter", "2.1.2", [file])
    found = checked(case_of(env, added={"torch-scatter": ""}), env.python)
    gone = "no compiled module is there: _segment_coo_cuda, _segment_csr_cuda"
    assert found["binary:torch-scatter"].reason == gone
    assert found["architectures:_scatter_cuda"].outcome == "ok"


def test_a_module_that_is_named_for_its_python(env: TargetEnvironment) -> None:
    path = env.site / "selective_scan_cuda.cpython-312-x86_64-linux-gnu.so"
    (env.site / "selective_scan_cuda.so").rename(path)
    env.packages["mamba-ssm"]["extensions"] = [str(path)]
    found = checked(case_of(env), env.python)
    assert found["architectures:selective_scan_cuda"].outcome == "ok"
    assert "binary:mamba-ssm" not in found


def test_the_second_gpu_needs_code_too(env: TargetEnvironment) -> None:
    env.whole("rdc")
    names = (("NVIDIA H100", "9.0"), ("NVIDIA New", "12.0"))
    gpus = [
        {"index": index, "name": name, "compute_capability": capability}
        for index, (name, capability) in enumerate(names)
    ]
    python = env.stand_in({"smoke.py": (IMPORTED, "", 0), "numerics.py": (GOOD, "", 0)})
    found = checked(case_of(env, gpus=gpus), python)["architectures:selective_scan_cuda"]
    assert (found.outcome, found.reason) == ("failed", "no code for NVIDIA New (12.0)")
    assert found.value == {"cubins": ["8.0", "9.0", "10.0f"], "ptx": []}


def test_a_module_that_asks_nothing_of_the_system(env: TargetEnvironment, tmp_path: Path) -> None:
    (tmp_path / "bare.c").write_text("int here = 1;", encoding="utf-8")
    argv = ["gcc", "-shared", "-fPIC", "-nostdlib", "-o", env.site / "bare.so", tmp_path / "bare.c"]
    subprocess.run(argv, check=True)
    env.packages["mamba-ssm"]["extensions"].append(str(env.site / "bare.so"))
    found = checked(case_of(env), env.python)["glibc:bare"]
    assert (found.outcome, found.reason) == ("ok", "")
    assert found.value == {"glibc": None, "glibcxx": None}


def test_releases_that_nobody_knows_are_no_pair(env: TargetEnvironment) -> None:
    for name in ("causal-conv1d", "mamba-ssm"):
        env.packages[name]["version"] = "0.0.1"
    found = checked(case_of(env), env.python)["generation"]
    assert (found.outcome, found.value) == ("failed", "None/None")


def test_one_package_alone_is_no_pair(env: TargetEnvironment) -> None:
    case = case_of(env, only=("causal-conv1d",))
    assert "generation" not in checked(case, env.python)


def test_without_packages_nothing_of_a_gpu_is_needed(env: TargetEnvironment) -> None:
    word = {"module": "torch", "outcome": "ok", "reason": "", "standin": True, "file": "f"}
    python = env.stand_in({"smoke.py": (lines(word), "", 0), "-c": ("(2, 8, 65)", "", 0)})
    result = verify(case_of(env, only=(), **HOPPER), python)
    assert [(one.id, one.outcome) for one in result.checks] == [
        ("import:torch", "skipped"),
        ("scan-without-kernels", "ok"),
    ]
    assert result.required_skips == []


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ({"version": "", "file": "f", "seconds": 0.5}, {"file": "f", "seconds": 0.5}),
        ({"version": "1", "file": "f", "standin": False}, {"version": "1", "file": "f"}),
        ({"version": "", "traceback": "x"}, None),
    ],
)
def test_what_is_known_of_an_import(
    env: TargetEnvironment, said: dict[str, object], value: object
) -> None:
    word = {"module": "torch", "outcome": "ok", "reason": "", **said}
    python = env.stand_in({"smoke.py": (lines(word), "", 0)})
    found = checked(case_of(env), python)
    assert found["import:torch"].value == value
    assert found["import:torch"].outcome == "ok"


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


def test_what_an_environment_was_made_for_is_proven_without_a_flag(env: TargetEnvironment) -> None:
    """Nothing is named, and no GPU is here: the kernels that it was made for count."""
    (env.site / "selective_scan_cuda.so").write_text("not ELF\n")
    made = Made(profile="local", archs=("9.0",), asked=True, torch="2.14.1", torch_cuda="13.0")
    situation = Situation(facts=facts_of("no-gpu"), target=env.facts(), made=made)
    result = verify(make_case(compiled("local"), situation), env.python)
    assert not result.passed
    found = {one.id: one for one in result.checks}
    assert found["import:selective_scan_cuda"].outcome == "failed"
    assert found["architectures:selective_scan_cuda"].outcome == "failed"
    assert "not an ELF" in found["architectures:selective_scan_cuda"].reason
    assert found["import:causal_conv1d_cuda"].outcome == "ok"


def test_what_is_installed_is_proven_whoever_put_it_there(env: TargetEnvironment) -> None:
    """Nothing is remembered, and the wheels are not ours."""
    (env.site / "selective_scan_cuda.so").write_text("not ELF\n")
    situation = Situation(facts=facts_of("no-gpu"), target=env.facts())
    case = make_case(compiled("local"), situation)
    assert case.choice.archs == ()
    found = checked(case, env.python)
    assert found["import:selective_scan_cuda"].outcome == "failed"
    assert found["architectures:selective_scan_cuda"].outcome == "failed"


def test_nothing_that_was_proven_is_no_pass() -> None:
    assert not Verification(checks=[]).passed
    assert not Verification(checks=[Check(id="results", outcome="skipped")]).passed
    assert Verification(checks=[Check(id="import:torch", outcome="ok")]).passed


def test_what_triton_needs_is_said_and_takes_nothing_from_the_proof(
    env: TargetEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program of our own is the compiler: `verify` runs it in the environment as Triton would."""
    env.package("triton", "3.8.0", [])
    # as where a start-up file greets whoever starts Python
    (env.site / "sitecustomize.py").write_text("print('Welcome to the cluster!')\n")
    named = tmp_path / "cc"
    named.write_text(
        "#!/bin/sh\necho 'trial.c:1:10: fatal error: Python.h: No such file' >&2\nexit 1\n"
    )
    named.chmod(0o755)
    monkeypatch.setenv("CC", str(named))
    result = verify(case_of(env), env.python)
    (found,) = [one for one in result.checks if one.id == "c-compiler"]
    assert found.outcome == "skipped"
    assert found.reason.startswith("trial.c:1:10: fatal error: Python.h: No such file; Triton's")
    assert "`mambaops install-cc`" in found.reason
    assert result.passed
    env.packages.pop("triton")  # such as with a torch for the CPU
    assert "c-compiler" not in checked(case_of(env), env.python)
