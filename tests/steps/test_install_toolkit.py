"""Which route to nvcc is taken; the environment's CUDA_HOME points at the toolkit that was obtained, whatever stood there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from acts import case_on, context_of, said
from compiled_profiles import compiled
from standins import program
from target_environment import TargetEnvironment

from mambaops.core.errors import MachineError
from mambaops.decide.case import Case
from mambaops.profiles.model import Profile
from mambaops.state.places import Places, places
from mambaops.steps import install_toolkit
from mambaops.steps.context import Context
from mambaops.steps.install_toolkit import STEP


@pytest.mark.parametrize("before", ["nothing", "a link", "a dead link", "a folder of links"])
def test_cuda_home_leads_to_the_toolkit(before: str, tmp_path: Path) -> None:
    where, home = Places("local", tmp_path / "state"), tmp_path / "cuda-12.8"
    (home / "bin").mkdir(parents=True)
    link = where.cuda_home
    link.parent.mkdir(parents=True)
    if before == "a folder of links":  # made of the index's wheels for another choice of torch
        link.mkdir()
        (link / "bin").symlink_to(tmp_path)
    elif before != "nothing":
        link.symlink_to(tmp_path if before == "a link" else tmp_path / "gone")
    install_toolkit._point_at(SimpleNamespace(where=where), home)
    assert link.readlink() == home
    assert (link / "bin").is_dir()
    assert tmp_path.is_dir()


def act(case: Case) -> Context:
    assert STEP.act is not None
    context = context_of(case)
    STEP.act(context, case)
    return context


def with_routes(name: str, *routes: str, **more: Any) -> Profile:
    profile = compiled(name)
    spec = msgspec.structs.replace(profile.toolkit, routes=list(routes), **more)
    return msgspec.structs.replace(profile, toolkit=spec)


def toolkit_wheels(env: TargetEnvironment) -> None:
    """What the wheels of CUDA 13.0 leave in the environment."""
    folder = env.site / "nvidia" / "cu13"
    for name in ("bin/ptxas", "nvvm/bin/cicc", "include/cuda_runtime.h", "include/crt/host_config.h",
                 "lib/libcudart.so.13"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    program(folder, "nvcc", "echo 'Cuda compilation tools, release 13.0, V13.0.48'")


def test_wheels_of_the_index_where_they_are_whole(tmp_path: Path) -> None:
    env = TargetEnvironment(places("local").env, tmp_path / "shared")
    toolkit_wheels(env)
    env.take_over({"-m": ("installed\n", "", 0), "-c": (f"{env.site}\n", "", 0)})
    context = act(case_on("hopper"))
    pip, _ = env.calls()
    assert pip[:4] == ["-m", "pip", "install", "--no-input"]
    assert {word.partition("==")[2] for word in pip[4:]} == {"13.0.*"}
    nvcc = env.site / "nvidia/cu13/bin/nvcc"
    assert (context.where.cuda_home / "bin/nvcc").resolve() == nvcc.resolve()
    assert said == ["nvcc 13.0 from the package index's wheels"]
    assert "installed" in context.run.log("install-toolkit").read_text(encoding="utf-8")


def conda_makes(tmp_path: Path, release: str) -> dict[str, Any]:
    """Facts of a machine whose conda makes an environment with that nvcc."""
    text = f"""
        printf '%s\\n' "$@" > {tmp_path}/words; mkdir -p "$4/bin"; echo solved
        printf '#!/bin/sh\\necho release {release}, V' > "$4/bin/nvcc"; chmod +x "$4/bin/nvcc\""""
    path = str(program(tmp_path, "conda", text))
    return {"tools": {"conda": {"path": path}}, "python": {"kind": "venv"}}


@pytest.mark.parametrize(
    ("machine", "routes", "cuda"),
    [("ubuntu22-cu118", ("machine", "wheels", "conda"), "11.8"), ("hopper", ("conda",), "13.0")],
)
def test_conda_where_no_wheels_are_or_may_be_taken(
    tmp_path: Path, machine: str, routes: tuple[str, ...], cuda: str
) -> None:
    case = case_on(machine, with_routes("local", *routes), like=conda_makes(tmp_path, cuda))
    context = act(case)
    home = context.where.root / "toolkits" / f"cuda-{cuda}-conda"
    assert (tmp_path / "words").read_text().split()[:4] == ["create", "-y", "-p", str(home)]
    assert context.where.cuda_home.readlink() == home
    assert said[0].startswith("route conda-env: ")
    assert "solved" in context.run.log("install-toolkit").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("routes", "version"), [(("machine",), ""), (("apt",), ""), (("wheels",), "13.9")]
)
def test_no_route_that_the_profile_allows(
    tmp_path: Path, routes: tuple[str, ...], version: str
) -> None:
    """None at all, one that needs root, wheels of a toolkit that is not known."""
    profile = with_routes("local", *routes, version=version)
    case = case_on("ubuntu22-cu118", profile, like=conda_makes(tmp_path, "11.8"))
    with pytest.raises(MachineError) as caught:
        act(case)
    assert caught.value.message == f"no way to get nvcc {version or '11.8'} is open here"
    assert not (tmp_path / "words").exists()


def test_nvcc_stands_on_a_compiler_and_torch() -> None:
    assert STEP.stands_on == ("check-compiler", "install-torch")
    assert STEP.changes_machine
