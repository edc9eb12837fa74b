"""Kernels without nvcc from a stored pack, and the Python part of their packages: installed, and taken out again."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from acts import case_on, context_of, said
from recorded import varied
from target_environment import TargetEnvironment

from mambaops.decide.case import Case
from mambaops.decide.situation import Flags
from mambaops.facts.model import Facts
from mambaops.fallback import distribution
from mambaops.profiles.load import load_profile
from mambaops.runtime.identity import asked_of
from mambaops.runtime.wheel import write_wheel
from mambaops.state.observe import packs
from mambaops.state.places import places
from mambaops.steps import install_kernels
from mambaops.store.store import Store
from mambaops.wheels.inspect.pack import ASKED

LOCAL = load_profile("local")
MODULES = {"causal-conv1d": "causal_conv1d", "mamba-ssm": "mamba_ssm"}
TORCH = {"version": "2.14.1+cu130", "cuda": "13.0", "path": "/x/torch"}


@pytest.fixture
def env(tmp_path: Path) -> TargetEnvironment:
    return TargetEnvironment(places("local").env, tmp_path / "shared")


def target_of(env: TargetEnvironment, distributions: dict[str, str]) -> Facts:
    place = {"prefix": str(env.folder), "executable": str(env.python), "kind": "venv"}
    packages = {
        name: {"name": name, "version": distributions[name], "path": str(env.site)}
        for name in MODULES
        if name in distributions
    }
    changes = {"torch": TORCH, "distributions": distributions, "packages": packages}
    return varied("hopper", {"python": place, **changes})


@pytest.fixture
def case(env: TargetEnvironment, tmp_path: Path) -> Case:
    """A pack for the GPU that is here lies in the store; the packages' sources are at hand."""
    for name, module in MODULES.items():
        (tmp_path / name / module).mkdir(parents=True)
        (tmp_path / name / module / "__init__.py").write_text(f"# {name}\n", encoding="utf-8")
    asked = asked_of({}, "13.0", ("9.0",))
    files = {ASKED: msgspec.json.encode(asked), "mambaops_kernels/__init__.py": b""}
    Store().add(write_wheel(files, tmp_path / "made", local="cu130.sm90.x1"), asked.key)
    sources = {name: str(tmp_path / name) for name in MODULES}
    return case_on(
        "hopper", LOCAL, flags=Flags(source=sources), target=target_of(env, {}), packs=packs({})
    )


@pytest.mark.parametrize("standins", [False, True])
def test_a_stored_pack_goes_in_with_the_python_parts(
    env: TargetEnvironment, case: Case, standins: bool
) -> None:
    if standins:
        distribution.write(env.site)
    verdict = install_kernels.assess(case)
    assert verdict.status == "needed"
    assert "the stored mambaops_kernels-1.0+cu130.sm90.x1-" in verdict.reason
    install_kernels.act(context_of(case), case)
    assert (env.site / "mambaops_kernels" / "__init__.py").is_file()
    for name, module in MODULES.items():
        assert (env.site / module / "__init__.py").read_text() == f"# {name}\n"
    infos = {path.name for path in env.site.glob("*.dist-info")}
    assert infos == {
        "causal_conv1d-1.7.0+runtime.dist-info", "mamba_ssm-2.3.2.post1+runtime.dist-info",
        "mambaops_kernels-1.0+cu130.sm90.x1.dist-info",
    }  # fmt: skip
    assert said[0].startswith("mambaops_kernels-1.0+cu130.sm90.x1-")
    assert said[0].endswith(".whl, from the store")
    told = ["mambaops-fallback is removed: the kernels take its place"] * standins
    assert said[1:-3] == told  # then what was installed, a line each
    assert not list(env.site.glob("*fallback*"))


def test_what_is_installed_is_enough_and_can_be_taken_out(
    env: TargetEnvironment, case: Case
) -> None:
    there = {
        "mambaops-kernels": "1.0+cu130.sm90.x1",
        "causal-conv1d": "1.7.0+runtime",
        "mamba-ssm": "2.3.2.post1+runtime",
    }
    for lacking in ("", *there):
        found = {name: version for name, version in there.items() if name != lacking}
        situation = msgspec.structs.replace(case.situation, target=target_of(env, found))
        now = msgspec.structs.replace(case, situation=situation)
        assert install_kernels.assess(now).status == ("needed" if lacking else "done")
    env.take_over({"-m": ("", "", 0)})
    situation = msgspec.structs.replace(
        case.situation, target=target_of(env, {**there, "mamba-ssm": "2.3.2.post1"})
    )
    compiled = msgspec.structs.replace(case, situation=situation)
    install_kernels.undo(context_of(compiled), compiled)
    assert env.calls() == [["-m", "pip", "uninstall", "--yes", "mambaops-kernels", "causal-conv1d"]]


@pytest.mark.parametrize(
    ("machine", "obtain", "wanted"),
    [
        ("hopper", ("runtime",), True),
        ("hopper", ("source",), False),
        ("no-gpu", ("runtime",), False),  # no kernels at all
    ],
)
def test_where_it_is_a_step_of_the_plan(
    machine: str, obtain: tuple[str, ...], wanted: bool
) -> None:
    assert install_kernels.wanted(case_on(machine, LOCAL, flags=Flags(obtain=obtain))) is wanted
