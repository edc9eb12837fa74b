"""What steps do: the words that the environment's interpreter is called with, and what is left behind."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from compiled_profiles import compiled
from recorded import facts_of, varied
from small_wheels import wheel_members, write_zip
from target_environment import TargetEnvironment

from mambaops.core.errors import CommandFailed, MambaopsError
from mambaops.decide.case import Case, make_case
from mambaops.decide.situation import Flags, Prebuilt, Situation
from mambaops.state.evidence import RunLog, read_notes
from mambaops.state.places import places
from mambaops.steps import find_wheels, install_wheels, prepare_build, verify
from mambaops.steps.context import Context

WELL = {"-m": ("", "", 0)}


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TargetEnvironment:
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    return TargetEnvironment(places("local").env, tmp_path / "shared")


said: list[str] = []


def case_of(env: TargetEnvironment, profile: str = "local", arch: str = "9.0", **more: Any) -> Case:
    facts: Mapping[str, Any] = more.pop("target", {})
    target = varied("no-gpu", {"packages": env.packages, **facts})
    situation = Situation(facts=target, target=target, **more)
    return make_case(compiled(profile), situation, Flags(arch=arch))


def context_of(case: Case) -> Context:
    said.clear()
    where = places(case.profile.name)
    log = RunLog.begin(where.runs, case.profile.name)
    return Context(
        profile=case.profile, flags=case.flags, where=where, run=log, say=said.append, jobs=0
    )


def test_prepare_build_installs_what_is_missing_and_nothing_else(env: TargetEnvironment) -> None:
    env.take_over(WELL)
    case = case_of(
        env, target={"distributions": {"setuptools": "80", "wheel": "0.45", "packaging": "24"}}
    )
    prepare_build.act(context_of(case), case)
    assert env.calls() == [["-m", "pip", "install", "ninja>=1.13"]]


OWN = """
name = "scan-own"
title = "of a test"
[source]
version = "1.0"
[build]
requirements = ["pybind11>=2.12"]
[architectures]
route = "environment"
[modules]
imports = ["scan_own"]
kernels = ["scan_own_cuda"]
"""


@pytest.mark.parametrize(("only", "wanted"), [((), True), (("mamba-ssm",), False)])
def test_prepare_build_is_for_the_packages_of_the_run(
    tmp_path: Path, only: tuple[str, ...], wanted: bool
) -> None:
    (tmp_path / "scan-own.toml").write_text(OWN, encoding="utf-8")
    situation = Situation(facts=facts_of("hopper"), target=facts_of("hopper"))
    flags = Flags(add={"scan-own": str(tmp_path / "scan-own.toml")}, obtain=("source",))
    case = make_case(compiled("local"), situation, flags, only=only)
    assert ("pybind11>=2.12" in case.build_requirements) is wanted
    assert ("pybind11>=2.12" in prepare_build.assess(case).reason) is wanted


def test_requirements_never_replace_torch_and_what_belongs_to_it(env: TargetEnvironment) -> None:
    env.take_over(WELL)
    installed = {
        "torch": "2.14.1", "triton": "3.8.0", "torchvision": "0.29", "torchaudio": "2.14", "einops": "0.8",
        "numpy": "2.1", "packaging": "24.2",
    }  # fmt: skip
    case = case_of(env, arch="", target={"distributions": installed})
    context = context_of(case)
    install_wheels.act(context, case)
    pins = context.run.folder / "kept.txt"
    assert env.calls() == [
        ["-m", "pip", "install", "transformers>=5.15", "pillow", "--constraint", str(pins)]
    ]
    assert pins.read_text(encoding="utf-8").split() == [
        "torch==2.14.1", "triton==3.8.0", "torchvision==0.29", "torchaudio==2.14",
    ]  # fmt: skip


def test_the_profiles_pages_and_bounds_count_for_requirements(env: TargetEnvironment) -> None:
    case = case_of(
        env, "ubuntu20-graph-mamba", arch="", target={"distributions": {"torch": "2.0.0"}}
    )
    graph = TargetEnvironment(places("ubuntu20-graph-mamba").env, env.shared)
    graph.take_over(WELL)
    context = context_of(case)
    install_wheels.act(context, case)
    (words,) = graph.calls()
    for page in case.profile.find_links:
        assert words[words.index(page) - 1] == "--find-links"
    pins = (context.run.folder / "kept.txt").read_text(encoding="utf-8").splitlines()
    assert pins == ["torch==2.0.0", *case.profile.constraints]


def test_requirements_that_cannot_be_had(env: TargetEnvironment) -> None:
    env.take_over({"-m": ("", "ERROR: no matching distribution\n", 1)})
    case = case_of(env, arch="")
    context = context_of(case)
    with pytest.raises(MambaopsError) as caught:
        install_wheels.act(context, case)
    assert "could not be installed without replacing torch" in caught.value.message
    assert str(context.run.log("install-wheels")) in caught.value.hint
    assert "no matching distribution" in context.run.log("install-wheels").read_text(
        encoding="utf-8"
    )


def test_with_everything_there_nothing_is_called(env: TargetEnvironment) -> None:
    env.take_over(WELL)
    there = {
        "einops": "0.8",
        "transformers": "5.15",
        "packaging": "24.2",
        "pillow": "10",
        "numpy": "2.1",
    }
    case = case_of(env, arch="", target={"distributions": there})
    install_wheels.act(context_of(case), case)
    assert env.calls() == []


def test_pip_does_not_see_the_controllers_settings(
    env: TargetEnvironment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/of/the/controller")
    case = case_of(env)
    env.python.unlink()
    env.python.write_text(f"#!/bin/sh\nenv > {tmp_path}/seen\n", encoding="utf-8")
    env.python.chmod(0o755)
    context_of(case).pip("x", ["install", "y"], env={"EXTRA": "1"})
    seen = dict(
        line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines() if "=" in line
    )
    assert "PYTHONPATH" not in seen
    assert {seen[name] for name in ("PYTHONNOUSERSITE", "PIP_NO_INPUT", "EXTRA")} == {"1"}
    assert seen["LC_ALL"] == "C"


def test_which_files_are_installed(env: TargetEnvironment) -> None:
    """A wheel of ours before a prebuilt one; what is installed already is left alone."""
    prebuilt = {"mamba-ssm": Prebuilt(url="https://example.org/m.whl", path="/w/m.whl")}
    case = case_of(env, prebuilt=prebuilt, wheels={"causal-conv1d": "/s/c.whl"})
    assert install_wheels._files(case) == ["/s/c.whl", "/w/m.whl"]
    both = case_of(env, prebuilt=prebuilt, wheels={"mamba-ssm": "/s/m.whl"})
    assert install_wheels._files(both) == ["/s/m.whl"]
    none = case_of(env, prebuilt={"mamba-ssm": Prebuilt(reason="none fits")})
    assert install_wheels._files(none) == []
    env.package("causal-conv1d", case.wanted_version("causal-conv1d"), [])
    there = case_of(env, wheels={"causal-conv1d": "/s/c.whl", "mamba-ssm": "/s/m.whl"})
    assert install_wheels._files(there) == ["/s/m.whl"]
    env.package("causal-conv1d", "1.0+another", [])
    other = case_of(env, wheels={"causal-conv1d": "/s/c.whl"})
    assert install_wheels._files(other) == ["/s/c.whl"]


def test_the_wheels_go_in_first_and_by_themselves(env: TargetEnvironment, tmp_path: Path) -> None:
    members = wheel_members("causal_conv1d", "1.7.0", {"causal_conv1d.py": b""}, ["tilelang"])
    wheel = write_zip(tmp_path / "causal_conv1d-1.7.0-py3-none-any.whl", members)
    there = ("einops", "transformers", "packaging", "pillow", "numpy")
    case = case_of(
        env,
        target={"distributions": dict.fromkeys(there, "99")},
        wheels={"causal-conv1d": str(wheel)},
    )
    install_wheels.act(context_of(case), case)
    assert (env.site / "causal_conv1d.py").is_file()
    assert said[0].startswith("causal_conv1d 1.7.0 in ") or said[0].startswith(
        "causal-conv1d 1.7.0"
    )
    assert "asks for `tilelang`; left out" in said[1]
    none = case_of(env, target={"distributions": dict.fromkeys(there, "99")})
    install_wheels.act(context_of(none), none)
    assert said == []


def test_pins_that_are_not_followed_are_said(env: TargetEnvironment, tmp_path: Path) -> None:
    needs = ["triton>=99", "torch", "einops", "tilelang==0.1", "pytest; extra == 'dev'"]
    wheel = write_zip(
        tmp_path / "mamba_ssm-2-py3-none-any.whl", wheel_members("mamba_ssm", "2", {}, needs)
    )
    case = case_of(env, target={"distributions": {"triton": "3.8.0", "torch": "2.14.1rc1"}})
    assert install_wheels.ignored_pins([wheel], case) == [
        "mamba_ssm asks for `triton>=99`; 3.8.0 stays",
        "mamba_ssm asks for `tilelang==0.1`; left out, nothing that the profile uses needs it",
    ]


@pytest.mark.parametrize(
    ("urls", "kept"),
    [(("c", "m"), ["c", "m"]), (("c", ""), ["", ""]), (("", "m"), ["", ""]), (("", ""), ["", ""])],
)
def test_a_pair_of_prebuilt_wheels_or_none(
    env: TargetEnvironment, urls: tuple[str, str], kept: list[str]
) -> None:
    case = case_of(env)
    names = ("causal-conv1d", "mamba-ssm")
    found = {
        name: Prebuilt(url=url, reason="" if url else "none fits") for name, url in zip(names, urls)
    }
    result = find_wheels._pairs_only(context_of(case), found)
    assert [result[name].url for name in names] == kept
    half = any(urls) and not all(urls)
    assert bool(said) is half
    if half:
        reasons = {result[name].reason for name in names}
        assert reasons == {"none fits", "the other package has none"}


def test_a_package_that_is_no_half_of_a_pair_stands_alone(env: TargetEnvironment) -> None:
    case = case_of(env)
    found = {
        "selective-scan": Prebuilt(url="s"),
        "mamba-ssm": Prebuilt(),
        "causal-conv1d": Prebuilt(),
    }
    assert find_wheels._pairs_only(context_of(case), found)["selective-scan"].url == "s"


def test_verify_remembers_what_has_passed(env: TargetEnvironment) -> None:
    whole = ("", "", 0)
    answer = json.dumps({"module": "torch", "outcome": "ok", "reason": "", "file": "f"})
    env.take_over({"smoke.py": (answer, "", 0), "-c": whole})
    case = case_of(env, arch="", fingerprint="abcd")
    context = context_of(case)
    verify.act(context, case)
    remembered = read_notes(context.where.verified)
    assert remembered["fingerprint"] == "abcd"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", remembered["when"])
    assert said[-1] == "2 passed, 0 failed, 0 skipped"
    kept = json.loads((context.run.folder / "verify.json").read_text(encoding="utf-8"))
    assert [one["outcome"] for one in kept["checks"]] == ["ok", "ok"]


def test_verify_that_fails_names_the_check_and_remembers_nothing(env: TargetEnvironment) -> None:
    answer = json.dumps({"module": "torch", "outcome": "failed", "reason": "no such file"})
    env.take_over({"smoke.py": (answer, "", 0), "-c": ("", "", 0)})
    case = case_of(env, arch="", fingerprint="abcd")
    context = context_of(case)
    with pytest.raises(MambaopsError) as caught:
        verify.act(context, case)
    assert caught.value.message == "the environment is not proven: import:torch: no such file"
    assert str(context.run.log("verify")) in caught.value.hint
    assert not context.where.verified.exists()
    assert not isinstance(caught.value, CommandFailed)


def test_verify_names_what_a_machine_with_a_gpu_may_not_skip(env: TargetEnvironment) -> None:
    names = ("torch", "causal_conv1d", "causal_conv1d_cuda", "mamba_ssm", "selective_scan_cuda")
    lines = [
        json.dumps({"module": name, "outcome": "ok", "reason": "", "file": "f"}) for name in names
    ]
    lines[1] = json.dumps({"module": "causal_conv1d", "standin": True, "file": "f"})
    env.take_over({"smoke.py": ("\n".join(lines), "", 0)})
    gpu = {"index": 0, "name": "H100", "compute_capability": "9.0"}
    case = case_of(env, target={"gpus": [gpu]})
    with pytest.raises(MambaopsError) as caught:
        verify.act(context_of(case), case)
    assert "import:causal_conv1d: mambaops' pure PyTorch stand-in" in caught.value.message
    assert "import:torch" not in caught.value.message
