"""One build from the tree to the store: what setup.py is called with, and what is kept of the result."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from acts import case_on, context_of, said
from compiled_profiles import compiled
from small_wheels import wheel_members, write_zip
from target_environment import TargetEnvironment

from mambaops import __version__
from mambaops.compile.source_tree import SourceTree
from mambaops.core.errors import MachineError, StepDidNotTake
from mambaops.decide.case import Case
from mambaops.decide.situation import Flags
from mambaops.state.places import places
from mambaops.steps.build_wheel import STEP, _jobs, _tools
from mambaops.steps.context import Context
from mambaops.store.store import Store

NAME = "causal-conv1d"
TOOLKIT = {"nvcc": "/x/cuda/bin/nvcc", "home": "/x/cuda", "version": "13.0", "release": "13.0.48"}
COMPILER = {"name": "g++", "path": shutil.which("g++") or "", "version": "13.3.0"}
# the target environment's interpreter: setup.py as it is called, and the wheel that it leaves
SETUP = """#!{python} -I
import json, os, pathlib, shutil, sys
seen = {{"argv": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ)}}
pathlib.Path({folder!r}, "seen.json").write_text(json.dumps(seen))
out = pathlib.Path(sys.argv[-1])
out.mkdir(parents=True)
shutil.copy({wheel!r}, out)
print("built")
"""


def case_with(tmp_path: Path, *, like: dict[str, Any] | None = None, **build: Any) -> Case:
    profile = compiled("local")
    profile = msgspec.structs.replace(
        profile, build=msgspec.structs.replace(profile.build, **build)
    )
    tree = tmp_path / "tree"
    tree.mkdir(exist_ok=True)
    facts = {"toolkits": [TOOLKIT], "compilers": [COMPILER], **(like or {})}
    source = SourceTree(path=str(tree), sha256="5" * 64)
    return case_on(
        "hopper",
        profile,
        like=facts,
        flags=Flags(arch="7.5;8.0;8.6;9.0+PTX"),
        only=(NAME,),
        sources={NAME: source},
    )


def prepared(tmp_path: Path, case: Case, fatbin: str = "multi") -> Context:
    """An environment whose setup.py leaves a wheel with that device code."""
    env = TargetEnvironment(places("local").env, tmp_path / "shared")
    module = env.extension("causal_conv1d_cuda", fatbin)
    version = f"1.7.0+{case.key(NAME).local_version()}"
    tag = "cp312-cp312-linux_x86_64"
    files = {"causal_conv1d_cuda.cpython-312-x86_64-linux-gnu.so": (env.site / module).read_bytes()}
    members = wheel_members("causal_conv1d", version, files, [], tag)
    wheel = write_zip(tmp_path / f"causal_conv1d-{version}-{tag}.whl", members)
    env.python.unlink()
    text = SETUP.format(python=sys.executable, folder=str(tmp_path), wheel=str(wheel))
    env.python.write_text(text, encoding="utf-8")
    env.python.chmod(0o755)
    return context_of(case, jobs=3)


def act(context: Context, case: Case) -> None:
    assert STEP.act is not None
    STEP.act(context, case)


def test_a_wheel_is_built_checked_and_kept(tmp_path: Path) -> None:
    case = case_with(tmp_path, env={"EXTRA": "1"})
    context = prepared(tmp_path, case)
    act(context, case)
    seen = json.loads((tmp_path / "seen.json").read_text(encoding="utf-8"))
    assert seen["argv"][:4] == ["-u", "setup.py", "bdist_wheel", "--dist-dir"]
    assert seen["cwd"] == str(tmp_path / "tree")
    out = Path(seen["argv"][-1])
    assert out.name == "wheel"
    assert context.where.build in out.parents
    env = seen["env"]
    assert (env["CUDA_HOME"], env["EXTRA"], env["MAX_JOBS"]) == ("/x/cuda", "1", "3")
    assert env["LDFLAGS"].endswith(str(context.where.build / "portable" / "single_threaded.o"))
    entry = Store().find(case.key(NAME))
    assert entry is not None
    kept = json.loads((context.run.folder / f"manifest-{NAME}.json").read_text(encoding="utf-8"))
    assert kept["mambaops"] == __version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", kept["built"])
    assert (kept["package"], kept["version"], kept["jobs"]) == (NAME, "1.7.0", 3)
    assert kept["wheel"] == entry.name
    assert kept["source_sha256"] == "5" * 64
    assert kept["nvcc"] == {"path": "/x/cuda/bin/nvcc", "version": "13.0.48"}
    assert kept["compiler"] == {"path": COMPILER["path"], "version": "13.3.0"}
    assert kept["architectures"] == ["7.5", "8.0", "8.6", "9.0+PTX"]
    assert kept["host"]["cores"] == case.facts.host.cores
    log = context.run.log(f"build-wheel:{NAME}")
    assert "built" in log.read_text(encoding="utf-8")
    assert said[:2] == [
        f"compiling {NAME} with 3 compilers at once (as asked for)", f"full log: {log}",
    ]  # fmt: skip
    size = entry.stat().st_size / 1e6
    assert said[-1] == f"{entry.name}: {size:.1f} MB, in the store {entry.parent}"


def test_a_wheel_with_other_device_code_is_not_kept(tmp_path: Path) -> None:
    case = case_with(tmp_path, portable=False)
    context = prepared(tmp_path, case, "plain")
    with pytest.raises(StepDidNotTake, match="wanted were"):
        act(context, case)
    assert Store().find(case.key(NAME)) is None
    assert not (context.where.build / "portable").exists()


@pytest.mark.parametrize(
    ("toolkits", "compilers", "message"),
    [
        ([], [COMPILER], "no nvcc fits: none was found"),
        ([{**TOOLKIT, "version": "9.0"}], [COMPILER], "no nvcc fits: /x/cuda/bin/nvcc "),
        ([{**TOOLKIT, "gcc_max": 12}], [COMPILER], "no g++ that nvcc 13.0 takes"),
    ],
)
def test_without_a_compiler_that_fits(
    tmp_path: Path, toolkits: list[Any], compilers: list[Any], message: str
) -> None:
    case = case_with(tmp_path, like={"toolkits": toolkits, "compilers": compilers})
    with pytest.raises(MachineError) as caught:
        act(context_of(case), case)
    assert caught.value.message.startswith(message)


OWN = """
name = "large-own"
title = "of a test"
[source]
version = "1.0"
[build]
memory_gib = 8
[architectures]
route = "environment"
[modules]
imports = ["large_own"]
kernels = ["large_own_cuda"]
"""


def test_the_largest_compiler_of_a_run_bounds_how_many_run_at_once(tmp_path: Path) -> None:
    file = tmp_path / "large-own.toml"
    file.write_text(OWN, encoding="utf-8")
    host = {"cores": 16, "memory_available": 32 << 30}
    case = case_on("hopper", like={"host": host}, flags=Flags(add={"large-own": str(file)}))
    context = context_of(case)
    assert _jobs(context, case, ["mamba-ssm"])[0] == 10
    assert _jobs(context, case, ["mamba-ssm", "large-own"])[0] == 4


@pytest.mark.parametrize(
    ("value", "used"), [(None, True), ("auto", True), ("0", False), ("off", False), ("", False)]
)
def test_a_compiler_cache_where_the_machine_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None, used: bool
) -> None:
    monkeypatch.delenv("MAMBAOPS_COMPILER_CACHE", raising=False)
    if value is not None:
        monkeypatch.setenv("MAMBAOPS_COMPILER_CACHE", value)
    case = case_with(tmp_path, like={"tools": {"sccache": {"path": "/x/sccache"}}})
    assert _tools(context_of(case), case).launcher == ("/x/sccache" if used else "")
    assert said == (["compiler cache: /x/sccache"] if used else [])


def test_without_a_compiler_cache(tmp_path: Path) -> None:
    case = case_with(tmp_path)
    assert _tools(context_of(case), case).launcher == ""
    assert said == []


@pytest.mark.parametrize(
    ("flag", "profile", "variable", "jobs"),
    [(3, 5, "7", 3), (0, 5, "7", 5), (0, 0, "7", 7), (0, 0, "many", 192), (0, 0, "", 192)],
)
def test_how_many_compilers(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flag: int,
    profile: int,
    variable: str,
    jobs: int,
) -> None:
    """The command line before the profile, before MAX_JOBS, before the machine's cores."""
    monkeypatch.setenv("MAX_JOBS", variable)
    case = case_with(tmp_path, jobs=profile)
    assert _jobs(context_of(case, jobs=flag), case, [NAME])[0] == jobs


def test_what_a_build_stands_on() -> None:
    wanted = (
        "check-space",
        "install-headers",
        "install-toolkit",
        "patch-cpp-extension",
        "patch-setup",
    )
    assert STEP.stands_on == wanted
    assert STEP.per_package
    assert not STEP.wanted(case_on("no-gpu"))


def test_the_script_calls_setup_py(tmp_path: Path) -> None:
    assert STEP.script is not None
    lines = STEP.script(case_with(tmp_path).about(NAME))
    assert lines[1] == '  "$PY" setup.py bdist_wheel --dist-dir ../wheels)'


@pytest.mark.parametrize(
    ("place", "kind", "inside"),
    [
        ("env", "venv", True),
        ("env", "conda", False),
        ("usr", "venv", False),
        ("env2", "venv", False),  # beside it
    ],
)
def test_the_compilers_are_told_of_headers_that_lie_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, kind: str, inside: bool
) -> None:
    """Python's own place is known to setup.py; the folder that `install-headers` filled is not."""
    monkeypatch.setenv("CPATH", "/of/the/user")
    case = case_with(tmp_path, portable=False)
    prefix = str(tmp_path / "env")
    headers = str(tmp_path / place / "include" / "python3.12")
    python = msgspec.structs.replace(case.facts.python, prefix=prefix, headers=headers, kind=kind)
    target = msgspec.structs.replace(case.facts, python=python)
    situation = msgspec.structs.replace(case.situation, target=target)
    case = msgspec.structs.replace(case, situation=situation)
    act(prepared(tmp_path, case), case)
    seen = json.loads((tmp_path / "seen.json").read_text(encoding="utf-8"))
    told = f"{headers}:/of/the/user" if inside else "/of/the/user"
    assert seen["env"]["CPATH"] == told
