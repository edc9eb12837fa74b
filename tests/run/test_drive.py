"""What a person is told of a run: the plan, what was done, the cause of a failure, one more try."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from recorded import path_of, varied
from target_environment import TargetEnvironment

from mambaops.core.errors import (
    CommandFailed,
    Interrupted,
    MachineError,
    MambaopsError,
    StepDidNotTake,
)
from mambaops.decide.situation import Flags
from mambaops.profiles.load import load_profile
from mambaops.run.drive import _announce, _conclude, drive, renew, undo, verified
from mambaops.run.planning import planned
from mambaops.run.runner import Done, Outcome, Run
from mambaops.state.evidence import write_notes
from mambaops.state.places import places
from mambaops.state.remedies import remember_tried, tried

COMPILE = Flags(arch="9.0", obtain=("source",))
READY = {"setuptools": "80", "wheel": "0.45", "packaging": "24", "ninja": "1.13"}
KILLED = "c++: fatal error: Killed signal terminated program cc1plus\ncompilation terminated.\n"
said: list[str] = []


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TargetEnvironment:
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    said.clear()
    return TargetEnvironment(places("local").env, tmp_path / "shared")


def probe(
    env: TargetEnvironment, distributions: dict[str, str], **more: Any
) -> tuple[str, str, int]:
    """What the probe says inside of the environment, whose Python is that of these tests."""
    version = ".".join(map(str, sys.version_info[:3]))
    place = {
        "prefix": str(env.folder),
        "executable": str(env.python),
        "kind": "venv",
        "version": version,
    }
    facts = varied("no-gpu", {"python": place, "distributions": distributions, **more})
    return msgspec.json.encode(facts).decode(), "", 0


def test_what_was_done_before_is_said(env: TargetEnvironment) -> None:
    env.take_over({"cached_probe.py": probe(env, READY)})
    outcome = drive("local", COMPILE, only=("prepare-build",), say=said.append)
    assert {one.outcome for one in outcome.steps} == {"done before"}
    assert said == ["nothing to do: prepare-build of profile `local` done before"]


def test_what_was_done_is_said_with_its_evidence(env: TargetEnvironment) -> None:
    env.take_over({"cached_probe.py": probe(env, {}), "-m": ("", "", 0)})
    env.after_pip({"cached_probe.py": probe(env, READY)})
    outcome = drive("local", COMPILE, only=("prepare-build",), say=said.append)
    assert [one.step for one in outcome.steps if one.outcome == "done"] == ["prepare-build"]
    assert said[-1].startswith("done in ")
    assert said[-1].endswith(f"; evidence: {outcome.folder}")


def test_who_interrupts_is_explained_nothing_and_nothing_is_tried_again(
    env: TargetEnvironment,
) -> None:
    def say(line: str) -> None:
        said.append(line)
        if line.startswith("prepare-build: "):
            raise KeyboardInterrupt

    env.take_over({"cached_probe.py": probe(env, {})})
    with pytest.raises(Interrupted):
        drive("local", COMPILE, only=("prepare-build",), say=say)
    assert said[-1] == "interrupted: what is whole is kept"


def test_an_unknown_failure_is_not_tried_again(env: TargetEnvironment) -> None:
    env.take_over({"cached_probe.py": probe(env, {}), "-m": ("", "something else\n", 1)})
    with pytest.raises(CommandFailed):
        drive("local", COMPILE, only=("prepare-build",), say=said.append)
    assert len([words for words in env.calls() if words[0] == "-m"]) == 1
    assert "trying once more" not in said
    assert said[-1].startswith("full log: ")
    assert said[-1].endswith("prepare-build.log")


def test_a_failure_with_a_safe_remedy_is_tried_once_more(env: TargetEnvironment) -> None:
    env.take_over({"cached_probe.py": probe(env, {}), "-m": ("", KILLED, 1)})
    known = {"rule": "compiler-oom-killed", "remedy": "fewer-jobs", "profile": "local"}
    before = remember_tried(**known, step="build-wheel", result="helped")
    with pytest.raises(CommandFailed):
        drive("local", COMPILE, only=("prepare-build",), say=said.append)
    assert any(str(before) in line for line in said)  # what helped here once is said
    assert len([words for words in env.calls() if words[0] == "-m"]) == 2
    assert said.count("trying once more") == 1
    assert len([line for line in said if line.startswith("full log: ")]) == 2
    remedy = next(place for place, line in enumerate(said) if line.startswith("remedy: "))
    assert any("memory" in line for line in said[:remedy])


def test_the_second_try_may_succeed(env: TargetEnvironment) -> None:
    env.take_over({"cached_probe.py": probe(env, {}), "-m": ("", KILLED, 1)})
    env.after_pip({"cached_probe.py": probe(env, {}), "-m": ("", "", 0)})
    with pytest.raises(StepDidNotTake):  # the second pip ended well, and changed nothing here
        drive("local", COMPILE, only=("prepare-build",), say=said.append)
    assert said.count("trying once more") == 1


def test_what_came_of_the_first_try_is_no_part_of_the_second(env: TargetEnvironment) -> None:
    env.take_over({"cached_probe.py": probe(env, {}), "-m": ("", KILLED, 1)})
    env.after_pip({"cached_probe.py": probe(env, READY)})
    outcome = drive("local", COMPILE, only=("prepare-build",), say=said.append)
    assert {one.outcome for one in outcome.steps} == {"done before"}
    assert said[-1] == "nothing to do: prepare-build of profile `local` done before"
    assert [one.result for one in tried("compiler-oom-killed")] == ["helped"]


def test_a_step_that_the_plan_does_not_have(env: TargetEnvironment) -> None:
    env.take_over({"cached_probe.py": probe(env, READY)})
    assert drive("local", COMPILE, only=("unheard-of",), say=said.append).steps == []
    assert said == ["nothing to do: unheard-of of profile `local` done before"]


@pytest.mark.parametrize(
    ("status", "shown"), [("needed", True), ("blocked", True), ("done", False)]
)
def test_a_plan_with_something_to_do_is_shown(
    env: TargetEnvironment, status: str, shown: bool
) -> None:
    _, plan = planned("local", Flags(), str(path_of("no-gpu")))
    steps = [msgspec.structs.replace(step, status=status) for step in plan.steps]
    _announce(msgspec.structs.replace(plan, steps=steps), said.append)
    assert [plan.steps[0].id in text for text in said] == [True] * shown


@pytest.mark.parametrize(
    ("machine", "step", "packages", "last"),
    [
        ("no-gpu", "verify", True, "no kernels were compiled"),
        ("no-gpu", "verify", False, "environment: "),
        ("hopper", "verify", True, "environment: "),
        ("no-gpu", "create-venv", True, "done in "),
    ],
)
def test_what_is_said_at_the_end(
    env: TargetEnvironment, machine: str, step: str, packages: bool, last: str
) -> None:
    run = Run(load_profile("local"), Flags(), said.append)
    if not packages:
        run.profile = msgspec.structs.replace(run.profile, packages={})
    _, plan = planned("local", Flags(), str(path_of(machine)))
    outcome = Outcome(plan=plan, steps=[Done(step=step, outcome="done")], folder="/evidence")
    _conclude(run, outcome, 61.0, (), said.append)
    assert said[0].startswith("done in ")
    assert said[0].endswith("; evidence: /evidence")
    assert said[-1].startswith(last)


def test_a_plan_that_cannot_be_done_is_shown_and_refused(env: TargetEnvironment) -> None:
    with pytest.raises(MachineError):
        drive("wsl-5090", Flags(), say=said.append)
    assert "check-machine" in said[0]
    assert "it is not WSL" in said[0] or "no GPU" in said[0]
    assert not places("wsl-5090").runs.exists()


def test_a_complete_profile_has_nothing_to_do(env: TargetEnvironment) -> None:
    there = {
        "einops": "0.8",
        "transformers": "5.15",
        "packaging": "24.2",
        "pillow": "10",
        "numpy": "2.1",
    }
    torch = {"version": "2.13.0+cpu", "path": "/x/torch"}
    env.take_over({"cached_probe.py": probe(env, there, torch=torch)})
    run = Run(load_profile("local"), Flags(), said.append)
    write_notes(run.where.verified, {"fingerprint": run.situation().fingerprint})
    if run.machine and run.machine.gpus:
        pytest.skip("for a machine without a GPU")
    drive("local", Flags(), say=said.append)
    assert said[0].startswith("nothing to do: profile `local` is complete (")
    assert said[1] == f"environment: {run.where.env}   interpreter: {run.where.python}"
    assert "no kernels were compiled: no GPU is visible and no --arch was given" in said[2]


def test_undo_removes_the_environment(env: TargetEnvironment) -> None:
    env.take_over({"cached_probe.py": probe(env, {})})
    undo("local", Flags(), "create-venv", say=said.append)
    assert not env.folder.exists()
    assert said == [f"removed {env.folder}"]


def test_what_an_ended_run_had_begun_is_settled_before_it_is_verified(
    env: TargetEnvironment,
) -> None:
    env.take_over({"cached_probe.py": probe(env, {})})
    places("local").making.touch()
    with pytest.raises(MambaopsError, match="there is no environment"):
        verified("local", Flags())
    assert not env.folder.exists()


def test_renew_makes_the_environment_anew(env: TargetEnvironment) -> None:
    env.take_over({"cached_probe.py": probe(env, {})})
    (env.folder / "mine").touch()
    renew(
        "local",
        Flags(python=".".join(map(str, sys.version_info[:2]))),
        "create-venv",
        say=said.append,
    )
    assert env.python.exists()
    assert not (env.folder / "mine").exists()


def test_verify_without_an_environment(env: TargetEnvironment) -> None:
    with pytest.raises(MambaopsError) as caught:
        verified("hopper", Flags(cross=True))
    assert caught.value.message == f"there is no environment at {places('hopper').env}"
    assert "`mambaops build-mamba`" in caught.value.hint


def test_verify_of_an_environment_as_it_is(env: TargetEnvironment) -> None:
    env.take_over({"cached_probe.py": probe(env, {}), "smoke.py": ("", "", 1), "-c": ("", "", 1)})
    result = verified("local", Flags(arch="9.0"))
    assert not result.passed
    assert "place:mamba-ssm" in {one.id for one in result.checks}
    assert not places("local").verified.exists()


def test_verify_by_itself_leaves_the_mark_that_the_whole_job_looks_for(
    env: TargetEnvironment,
) -> None:
    whole = json.dumps({"module": "torch", "outcome": "ok", "reason": "", "file": "f"})
    env.take_over(
        {"cached_probe.py": probe(env, {}), "smoke.py": (whole, "", 0), "-c": ("", "", 0)}
    )
    assert verified("local", Flags()).passed
    _, plan = planned("local", Flags())
    assert next(step.status for step in plan.steps if step.id == "verify") == "done"


def test_a_plan_for_another_machine_is_made_of_its_facts(env: TargetEnvironment) -> None:
    case, plan = planned("local", Flags(), str(path_of("hopper")))
    assert case.facts.gpus[0].name == "NVIDIA H100 80GB HBM3"
    assert plan.choice.archs == ("9.0",)


def test_a_plan_for_this_machine_looks_at_it(env: TargetEnvironment) -> None:
    env.take_over({"cached_probe.py": probe(env, READY)})
    case, plan = planned("local", COMPILE)
    assert case.situation.env == str(env.folder)
    assert next(step.status for step in plan.steps if step.id == "prepare-build") == "done"
