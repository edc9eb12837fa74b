"""After kernels of torch's NVRTC have failed at `verify` on this GPU: remembered for it alone, said, and asked about."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest
from recorded import facts_of, varied
from small_steps import Workshop
from target_environment import TargetEnvironment

from mambaops.core.errors import MambaopsError
from mambaops.decide.case import Case
from mambaops.decide.packages import served
from mambaops.decide.runtime import wanted_kernels
from mambaops.decide.situation import Flags
from mambaops.profiles.load import load_profile
from mambaops.run.drive import _second_try, as_asked
from mambaops.run.other_strategy import without_runtime
from mambaops.run.runner import Done, Run
from mambaops.runtime.identity import asked_of
from mambaops.runtime.wheel import write_wheel
from mambaops.state.places import places
from mambaops.steps.context import Context
from mambaops.store.store import Store
from mambaops.wheels.inspect.pack import ASKED

BOTH = ("causal-conv1d", "mamba-ssm")
FAILED = [Done(step="install-torch", outcome="done"), Done(step="verify", outcome="failed")]
said: list[str] = []
asked: list[str] = []


def agree(question: str) -> bool:
    asked.append(question)
    return True


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TargetEnvironment:
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    said.clear()
    asked.clear()
    return TargetEnvironment(places("local").env, tmp_path / "shared")


def run_on(env: TargetEnvironment, machine: str, flags: Flags | None = None) -> Run:
    """A run on a recorded machine whose environment holds torch and the kernels' Python parts."""
    place = {
        "prefix": str(env.folder),
        "executable": str(env.python),
        "kind": "venv",
        "version": ".".join(map(str, sys.version_info[:3])),
    }
    torch = {"version": "2.14.1+cu130", "cuda": "13.0", "path": "/x/torch"}
    facts = varied(machine, {"python": place, "torch": torch})
    env.take_over({"cached_probe.py": (msgspec.json.encode(facts).decode(), "", 0)})
    run = Run(load_profile("local"), flags or Flags(), said.append)
    run.machine = facts_of(machine)
    return run


def test_it_is_said_asked_and_remembered(env: TargetEnvironment) -> None:
    run = run_on(env, "hopper")
    assert served(run.case()) == BOTH
    run.done = [*FAILED]
    assert without_runtime(run, agree, said.append)
    assert "causal-conv1d and mamba-ssm" in said[-1]
    assert "store, prebuilt, source" in said[-1]
    assert "an hour" in asked[0]
    assert served(run_on(env, "hopper").case()) == ()


@pytest.mark.parametrize("agreed", [True, False])
def test_the_run_goes_on_with_the_next_strategy_where_the_person_agrees(
    env: TargetEnvironment, tmp_path: Path, agreed: bool
) -> None:
    def verify(context: Context, case: Case) -> None:
        if served(case):
            raise MambaopsError("wrong numbers")

    shop = Workshop(tmp_path / "shop")
    run = run_on(env, "hopper")
    run.steps = [shop.touch("verify", verify)]
    with pytest.raises(MambaopsError, match="wrong numbers"):
        run.all()
    outcome = _second_try(run, (), said.append, lambda question: agreed)
    assert shop.acted == ["verify"] * (1 + agreed)
    assert ("trying once more" in said, outcome is not None) == (agreed, agreed)
    if outcome is not None:
        assert [(one.step, one.outcome) for one in outcome.steps] == [("verify", "done")]


def test_kernels_of_a_stored_pack_are_remembered_too(
    env: TargetEnvironment, tmp_path: Path
) -> None:
    """What did not pass is what the pack brought: it is known by its version."""
    asked_for = asked_of({}, "13.0", ("9.0",))
    files = {ASKED: msgspec.json.encode(asked_for), "mambaops_kernels/__init__.py": b""}
    Store().add(write_wheel(files, tmp_path, local="cu130.sm90.x1"), asked_for.key)
    run = run_on(env, "hopper")
    assert wanted_kernels(run.case()) == "1.0+cu130.sm90.x1"
    run.done = [*FAILED]
    without_runtime(run, agree, said.append)
    assert served(run_on(env, "hopper").case()) == ()


def test_where_nobody_agrees_it_is_remembered_all_the_same(env: TargetEnvironment) -> None:
    run = run_on(env, "hopper")
    run.done = [*FAILED]
    assert not without_runtime(run, lambda question: False, said.append)
    assert served(run.case()) == ()


def test_with_another_driver_they_are_tried_anew(env: TargetEnvironment) -> None:
    run = run_on(env, "hopper")
    run.done = [*FAILED]
    without_runtime(run, agree, said.append)
    assert run.machine is not None
    driver = msgspec.structs.replace(run.machine.driver, version="999.1")
    run.machine = msgspec.structs.replace(run.machine, driver=driver)
    assert served(run.case()) == BOTH


@pytest.mark.parametrize(
    "done",
    [[], FAILED[:1], [Done(step="install-torch", outcome="failed")], [FAILED[1], Done(step="install-wheels", outcome="failed")]],
)  # fmt: skip
def test_another_failure_is_not_theirs(env: TargetEnvironment, done: list[Done]) -> None:
    run = run_on(env, "hopper")
    run.done = done
    assert not without_runtime(run, agree, said.append)
    assert served(run.case()) == BOTH
    assert asked == []


def test_without_a_gpu_verify_has_not_run_them(env: TargetEnvironment) -> None:
    run = run_on(env, "no-gpu", Flags(arch="9.0"))
    run.done = [*FAILED]
    assert not without_runtime(run, agree, said.append)
    assert served(run.case()) == BOTH


def test_kernels_that_were_compiled_otherwise_are_not_blamed(env: TargetEnvironment) -> None:
    run = run_on(env, "hopper", Flags(obtain=("source",)))
    run.done = [*FAILED]
    assert not without_runtime(run, agree, said.append)
    assert (said, asked) == ([], [])


def test_where_it_is_the_only_strategy_nothing_is_asked(env: TargetEnvironment) -> None:
    run = run_on(env, "hopper", Flags(obtain=("runtime",)))
    run.done = [*FAILED]
    assert not without_runtime(run, agree, said.append)
    assert "no strategy is left" in said[-1]
    assert asked == []


@pytest.mark.parametrize(
    ("only", "obtain", "wanted"),
    [
        (("patch-setup",), (), ("store", "prebuilt", "source", "fallback")),
        (("build-wheel:mamba-ssm",), (), ("store", "prebuilt", "source", "fallback")),
        (("fetch-sources", "verify"), (), ()),
        (("install-torch",), (), ()),
        (("unheard-of",), (), ()),
        ((), (), ()),
        (("patch-setup",), ("runtime",), ("runtime",)),
    ],
)
def test_a_step_of_the_source_build_that_is_named_is_done(
    only: tuple[str, ...], obtain: tuple[str, ...], wanted: tuple[str, ...]
) -> None:
    assert as_asked(load_profile("local"), Flags(obtain=obtain), only).obtain == wanted
