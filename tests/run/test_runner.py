"""The runner with small real steps: judged before and after, in order, nothing begun that cannot end."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from recorded import facts_of, varied
from small_steps import Workshop
from target_environment import TargetEnvironment

from mambaops.core import process, trees
from mambaops.core.errors import (
    CommandFailed,
    Interrupted,
    MachineError,
    MambaopsError,
    StepDidNotTake,
    UsageError,
)
from mambaops.core.signals import Stopped
from mambaops.decide.case import Case
from mambaops.decide.memory import Made
from mambaops.decide.packages import to_build
from mambaops.decide.situation import Flags
from mambaops.decide.verdict import needed
from mambaops.plan import Plan
from mambaops.profiles.load import load_profile
from mambaops.run.lock import locked
from mambaops.run.runner import Outcome, Run, packages_of
from mambaops.state.memory import read_made
from mambaops.state.places import Places, places
from mambaops.steps.context import Context
from mambaops.steps.step import Step


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    return Workshop(tmp_path / "shop")


said: list[str] = []


def run_of(*steps: Step, machine: str = "no-gpu") -> Run:
    said.clear()
    run = Run(load_profile("local"), Flags(), said.append, steps=steps)
    run.machine = facts_of(machine)
    return run


def became(outcome: Outcome) -> dict[str, str]:
    return {one.step: one.outcome for one in outcome.steps}


def recorded(run: Run) -> dict[str, Any]:
    """outcome.json of the one run that there was."""
    (folder,) = run.where.runs.iterdir()
    whole: dict[str, Any] = json.loads((folder / "outcome.json").read_text(encoding="utf-8"))
    return {"plan": whole["plan"], **{one["step"]: one for one in whole["steps"]}}


def test_steps_act_in_their_order_and_leave_evidence(shop: Workshop) -> None:
    run = run_of(shop.touch("z-first"), shop.touch("a-last", stands_on=("z-first",)))
    outcome = run.all()
    assert shop.acted == ["z-first", "a-last"]
    assert became(outcome) == {"z-first": "done", "a-last": "done"}
    assert said[0] == "z-first: z-first is missing"
    assert said[1].startswith("z-first: done in ")
    folder = Path(outcome.folder)
    assert folder.parent == run.where.runs
    assert {path.name for path in folder.iterdir()} == {
        "facts-before.json", "plan.json", "flags.json", "outcome.json", "facts-after.json",
    }  # fmt: skip
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    assert [step["status"] for step in plan["steps"]] == ["needed", "needed"]
    before = json.loads((folder / "facts-before.json").read_text(encoding="utf-8"))
    assert before["facts"]["host"]["distribution"]["codename"] == "bookworm"
    assert recorded(run)["a-last"]["outcome"] == "done"
    assert recorded(run)["plan"]["profile"] == "local"


def test_how_long_a_step_took_is_recorded(shop: Workshop) -> None:
    shop.finish("before")
    wait = shop.touch("wait", act=lambda context, case: time.sleep(0.13), after=("before",))
    started = time.monotonic()
    before, waited = run_of(shop.touch("before"), wait).all().steps
    assert before.seconds == 0.0
    assert 0.1 <= waited.seconds <= time.monotonic() - started + 0.1
    assert waited.seconds == round(waited.seconds, 1)
    assert waited.reason == ""


def test_what_was_done_before_is_left_alone(shop: Workshop) -> None:
    shop.finish("first")
    outcome = run_of(shop.touch("first"), shop.touch("second", after=("first",))).all()
    assert shop.acted == ["second"]
    assert became(outcome) == {"first": "done before", "second": "done"}
    assert outcome.steps[0].reason == "first is there"


def test_with_nothing_to_do_no_evidence_is_begun(shop: Workshop) -> None:
    shop.finish("first")
    run = run_of(shop.touch("first"))
    outcome = run.all()
    assert (outcome.folder, shop.acted) == ("", [])
    assert became(outcome) == {"first": "done before"}
    assert outcome.steps[0].reason == "first is there"
    assert not run.where.runs.exists()


def test_a_step_that_ends_well_and_changes_nothing_is_an_error(shop: Workshop) -> None:
    run = run_of(shop.without_effect("idle"), shop.touch("later", after=("idle",)))
    with pytest.raises(StepDidNotTake) as caught:
        run.all()
    assert caught.value.message == "idle ended well, and yet: it is still missing"
    assert "mambaops facts" in caught.value.hint
    assert shop.acted == ["idle"]
    assert recorded(run)["idle"]["outcome"] == "failed"
    assert "later" not in recorded(run)


def test_the_hint_of_a_step_that_did_not_take_is_its_own(shop: Workshop) -> None:
    with pytest.raises(StepDidNotTake) as caught:
        run_of(shop.without_effect("idle", hint="look there")).all()
    assert caught.value.hint == "look there"


def test_a_failing_command_ends_the_run_and_its_log_is_named(shop: Workshop) -> None:
    def fail(context: Context, case: Case) -> None:
        code = "import sys; sys.exit('no such thing')"
        process.run([sys.executable, "-c", code], log=context.run.log("broken:part"))

    def other(context: Context, case: Case) -> None:
        context.run.log("first").write_text("well", encoding="utf-8")

    run = run_of(
        shop.touch("first", act=other),
        shop.touch("broken", act=fail, after=("first",)),
        shop.touch("later", after=("broken",)),
    )
    with pytest.raises(CommandFailed):
        run.all()
    assert shop.acted == ["first", "broken"]
    assert [path.name for path in run.logs_of_failure()] == ["broken-part.log"]
    assert recorded(run)["first"]["outcome"] == "done"
    assert recorded(run)["broken"]["outcome"] == "failed"
    assert recorded(run)["broken"]["reason"]


def test_logs_of_a_failure_newest_last(shop: Workshop) -> None:
    def fail(context: Context, case: Case) -> None:
        for age, name in enumerate(("broken:z", "broken:a")):
            path = context.run.log(name)
            path.write_text(name, encoding="utf-8")
            os.utime(path, (1000 + age, 1000 + age))
        raise MambaopsError("no")

    run = run_of(shop.touch("broken", act=fail))
    assert run.logs_of_failure() == []
    with pytest.raises(MambaopsError, match="no"):
        run.all()
    assert [path.name for path in run.logs_of_failure()] == ["broken-z.log", "broken-a.log"]


def test_without_a_failure_there_are_no_logs_of_it(shop: Workshop) -> None:
    def write(context: Context, case: Case) -> None:
        context.run.log("first").write_text("well", encoding="utf-8")

    run = run_of(shop.touch("first", act=write))
    run.all()
    assert run.logs_of_failure() == []


def test_a_blocked_step_is_refused_before_anything_is_done(shop: Workshop) -> None:
    run = run_of(
        shop.touch("first"),
        shop.blocked("wall", after=("first",)),
        shop.blocked("abyss", after=("first",)),
    )
    with pytest.raises(MachineError) as caught:
        run.all()
    assert caught.value.message == "abyss: abyss cannot be\nwall: wall cannot be"
    assert caught.value.hint == "abyss: do something about abyss\nwall: do something about wall"
    assert caught.value.exit_code == 4
    assert shop.acted == []
    assert not run.where.runs.exists()


def test_a_step_that_another_has_blocked_is_not_begun(shop: Workshop) -> None:
    def assess(case: Case) -> Any:
        return shop.blocked("x").assess(case) if shop.is_done("first") else needed("yes")

    step = Step(id="second", help="", assess=assess, act=lambda c, k: None, after=("first",))
    with pytest.raises(MachineError) as caught:
        run_of(shop.touch("first"), step).all()
    assert caught.value.message == "second: x cannot be"
    assert caught.value.hint == "do something about x"
    assert shop.acted == ["first"]


def test_a_step_that_another_has_made_unnecessary_is_left_out(shop: Workshop) -> None:
    optional = shop.touch("second", after=("first",), wanted=lambda case: not shop.is_done("first"))
    outcome = run_of(shop.touch("first"), optional).all()
    assert shop.acted == ["first"]
    assert became(outcome) == {"first": "done"}


def test_a_step_that_makes_itself_unnecessary_has_ended_well(shop: Workshop) -> None:
    once = shop.touch("once", wanted=lambda case: not shop.is_done("once"))
    assert became(run_of(once).all()) == {"once": "done"}


def test_a_step_is_judged_again_before_it_acts(shop: Workshop) -> None:
    both = shop.touch("first", act=lambda context, case: shop.finish("second"))
    outcome = run_of(both, shop.touch("second", after=("first",))).all()
    assert shop.acted == ["first"]
    assert became(outcome) == {"first": "done", "second": "done before"}


def test_a_check_that_waits_for_a_later_step_is_no_hindrance(shop: Workshop) -> None:
    check = Step(id="check", help="", assess=lambda case: needed("perhaps"))
    outcome = run_of(check, shop.touch("first", after=("check",))).all()
    assert became(outcome) == {"first": "done"}


def test_a_named_step_brings_along_what_it_stands_on_and_nothing_else(shop: Workshop) -> None:
    run = run_of(
        shop.touch("ground"),
        shop.touch("house", stands_on=("ground",)),
        shop.touch("roof", stands_on=("house",), after=("garden",)),
        shop.touch("garden"),
        shop.blocked("wall"),
    )
    outcome = run.all(["roof"])
    assert shop.acted == ["ground", "house", "roof"]
    assert became(outcome) == {"ground": "done", "house": "done", "roof": "done"}


def test_one_package_of_a_step_that_is_done_for_each(shop: Workshop) -> None:
    seen: list[list[str]] = []
    ground = shop.touch("ground", act=lambda _, case: seen.append([n for n, _ in to_build(case)]))
    run = run_of(ground, shop.touch("make", per_package=True, stands_on=("ground",)))
    outcome = run.all(["make:mamba-ssm"])
    assert became(outcome) == {"ground": "done", "make:mamba-ssm": "done"}
    assert shop.packages == ("mamba-ssm",)
    assert seen == [["mamba-ssm"]]  # what it stands on is done for it alone too


@pytest.mark.parametrize(
    ("only", "packages"),
    [
        ([], ()),
        (["make:b", "make:a", "check:a"], ("b", "a")),
        (["make:a", "verify"], ()),  # one of them is about all
    ],
)
def test_the_packages_that_a_run_is_about(only: list[str], packages: tuple[str, ...]) -> None:
    assert packages_of(only) == packages


def test_every_package_of_a_step_that_does_all_at_once(shop: Workshop) -> None:
    outcome = run_of(shop.touch("make", per_package=True)).all()
    assert shop.acted == ["make"]
    assert shop.packages == ("causal-conv1d", "mamba-ssm")
    assert became(outcome) == {"make:causal-conv1d": "done", "make:mamba-ssm": "done before"}


@pytest.mark.parametrize("how", ["raised", "signal"])
def test_an_interruption_leaves_evidence_and_says_how_to_go_on(shop: Workshop, how: str) -> None:
    def stop(context: Context, case: Case) -> None:
        if how == "raised":
            raise KeyboardInterrupt
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.kill(os.getpid(), signal.SIGINT)
        process.run([sys.executable, "-c", "import time; time.sleep(30)"])

    run = run_of(shop.touch("first", act=stop), shop.touch("later", after=("first",)))
    with pytest.raises(Interrupted) as caught:
        run.all()
    assert caught.value.exit_code == 128 + signal.SIGINT
    assert str(run.log.folder if run.log else None) in caught.value.hint
    assert said[-1] == "interrupted: what is whole is kept"
    assert recorded(run)["first"]["outcome"] == "failed"
    assert shop.acted == ["first"]
    again = run_of(shop.touch("first"), shop.touch("later", after=("first",)))
    assert became(again.all()) == {"first": "done", "later": "done"}


def test_one_run_at_a_time_on_one_profile(shop: Workshop) -> None:
    run = run_of(shop.touch("first"))
    with locked(run.where), pytest.raises(MambaopsError) as caught:
        run.all()
    assert "another mambaops is working on profile `local`" in caught.value.message
    assert "MAMBAOPS_HOME" in caught.value.hint
    assert shop.acted == []
    assert became(run.all()) == {"first": "done"}


def test_the_lock_is_given_back_after_a_failure(shop: Workshop) -> None:
    run = run_of(shop.without_effect("idle"))
    for _ in range(2):
        with pytest.raises(StepDidNotTake):
            run.all()


def test_a_place_that_cannot_be_written_to(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(MambaopsError) as caught:
        run_of(shop.touch("first")).all()
    assert "cannot be written to: Not a directory" in caught.value.message
    assert "MAMBAOPS_HOME" in caught.value.hint


def test_the_plan_is_announced_before_anything_is_done(shop: Workshop) -> None:
    seen: list[tuple[Plan, list[str]]] = []
    outcome = run_of(shop.touch("first")).all(
        announce=lambda plan: seen.append((plan, [*shop.acted]))
    )
    assert seen == [(outcome.plan, [])]


def test_the_machine_is_looked_at_again_only_where_it_may_have_changed(shop: Workshop) -> None:
    same = run_of(shop.touch("first"))
    same.all()
    assert same.machine == facts_of("no-gpu")
    other = run_of(shop.touch("second", changes_machine=True))
    other.all()
    assert other.machine is not None
    assert other.machine.python.executable != facts_of("no-gpu").python.executable


def test_what_the_context_holds(shop: Workshop) -> None:
    seen: list[Context] = []
    run = run_of(shop.touch("first", act=lambda context, case: seen.append(context)))
    run.jobs = 7
    run.all()
    (context,) = seen
    assert (context.profile, context.flags, context.where) == (run.profile, run.flags, run.where)
    assert (context.jobs, context.run) == (7, run.log)


def test_undo_takes_back_what_a_step_did(shop: Workshop) -> None:
    def undo(context: Context, case: Case) -> None:
        (shop.folder / "first").unlink()
        context.say(f"undone for {context.profile.name}")

    run = run_of(shop.touch("zero"), shop.touch("first", undo=undo))
    outcome = run.all()
    run.undo("first")
    assert not shop.is_done("first")
    assert said[-1] == "undone for local"
    assert [str(one) for one in run.where.runs.iterdir()] == [outcome.folder]
    with locked(run.where), pytest.raises(MambaopsError, match="another mambaops"):
        run.undo("first")


def test_what_cannot_be_undone_is_said(shop: Workshop) -> None:
    with pytest.raises(UsageError) as caught:
        run_of(shop.touch("first")).undo("first")
    assert caught.value.message == "`first` cannot be undone"


def test_the_signal_that_ended_a_run_is_told(shop: Workshop) -> None:
    def stop(context: Context, case: Case) -> None:
        raise Stopped(signal.SIGTERM)

    with pytest.raises(Interrupted) as caught:
        run_of(shop.touch("first", act=stop)).all()
    assert caught.value.exit_code == 128 + signal.SIGTERM
    assert said[-1] == "terminated: what is whole is kept"


def test_a_step_is_done_anew_in_place_of_what_is_there(shop: Workshop) -> None:
    def renew(context: Context, case: Case) -> None:
        shop.acted.append("anew")
        assert case.target is None

    run = run_of(shop.touch("zero"), shop.touch("first", renew=renew))
    run.renew("first")
    assert shop.acted == ["anew"]


def test_what_cannot_be_done_is_not_done_anew(shop: Workshop) -> None:
    def renew(context: Context, case: Case) -> None:
        shop.acted.append("anew")

    with pytest.raises(MachineError) as caught:
        run_of(shop.blocked("first", renew=renew)).renew("first")
    assert caught.value.message == "first: first cannot be"
    assert caught.value.hint == "do something about first"
    assert shop.acted == []


@pytest.mark.parametrize("mark", ["making", "kept"])
def test_what_an_ended_run_had_begun_is_settled(shop: Workshop, mark: str) -> None:
    run = run_of(shop.touch("first"))
    place = getattr(run.where, mark)
    place.parent.mkdir(parents=True)
    if mark == "making":
        place.touch()
        run.where.env.mkdir()
    else:
        place.mkdir()
    run.settle()
    assert not place.exists()
    assert run.where.env.exists() is (mark == "kept")


@pytest.mark.parametrize(
    ("before", "archs", "kept"),
    [
        (Made(archs=("8.0",), asked=True, torch="2.9.1", torch_cuda="12.6"), ("8.0",), True),
        (Made(torch="2.9.1", torch_cuda="12.6"), ("9.0",), False),
    ],
)
def test_a_step_is_done_anew_for_what_it_was_done_for(
    shop: Workshop, tmp_path: Path, before: Made, archs: tuple[str, ...], kept: bool
) -> None:
    """The architectures that somebody named stay named; the torch that is there goes with the environment."""
    seen: list[Case] = []
    run = run_of(
        shop.touch("create-venv", renew=lambda context, case: seen.append(case)), machine="hopper"
    )
    env = TargetEnvironment(run.where.env, tmp_path / "shared")
    place = {"prefix": str(env.folder), "executable": str(env.python), "kind": "venv"}
    there = varied("no-gpu", {"python": place})
    env.take_over({"cached_probe.py": (msgspec.json.encode(there).decode(), "", 0)})
    run.where.made.write_bytes(msgspec.json.encode(before))
    run.renew("create-venv")
    (case,) = seen
    assert case.target is None
    assert (case.choice.archs, case.choice.named) == (archs, kept)
    assert case.situation.made == (Made(archs=archs, asked=True) if kept else None)
    assert read_made(run.where) == Made(profile="local", archs=archs, asked=kept)


def test_what_is_done_anew_may_be_interrupted(shop: Workshop) -> None:
    def renew(context: Context, case: Case) -> None:
        raise Stopped(signal.SIGTERM)

    with pytest.raises(Interrupted) as caught:
        run_of(shop.touch("first", renew=renew)).renew("first")
    assert caught.value.exit_code == 128 + signal.SIGTERM


def left_behind(where: Places) -> psutil.Process:
    """What a command leaves running that was started under the profile's lock."""
    with locked(where):
        assert where.lock.with_suffix(".running").exists()
        done = process.run(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"])
    assert not where.lock.with_suffix(".running").exists()
    return psutil.Process(int(done.stdout))


def test_what_a_killed_run_has_left_is_ended_and_no_other_profiles(shop: Workshop) -> None:
    mine, others = left_behind(places("local")), left_behind(places("hopper"))
    told: list[str] = []
    try:
        with locked(places("local"), told.append):
            assert trees.living([mine]) == [mine]  # there was no run that was killed
        places("local").lock.with_suffix(".running").touch()
        with locked(places("local"), told.append):
            assert trees.living([mine]) == []
        assert told == [f"ended what a killed run has left: sleep 60 ({mine.pid})"]
        assert trees.living([others]) == [others]
    finally:
        for one in trees.living([mine, others]):
            one.kill()


def test_what_was_started_is_ended_before_the_lock_is_free(shop: Workshop) -> None:
    started, told = threading.Event(), list[str]()
    command = threading.Thread(
        target=process.run,
        args=(["sleep", "60"],),
        kwargs={"check": False, "on_start": lambda pid: started.set()},
        daemon=True,
    )
    with pytest.raises(ValueError, match="a fault"), locked(places("local"), told.append):
        command.start()
        assert started.wait(30)
        raise ValueError("a fault")
    command.join(30)
    assert not command.is_alive()
    assert told == []  # nobody is waited for who has gone
