"""A step is one module: its command, its session and its place in the order come from it."""

from __future__ import annotations

import shlex

import msgspec
import pytest
from invoke.parser import Parser
from recorded import facts_of

from mambaops.cli import collection
from mambaops.core.paths import PACKAGE
from mambaops.decide.case import make_case
from mambaops.decide.situation import Flags, elsewhere
from mambaops.plan import plan_of
from mambaops.plan.order import ordered, with_foundations
from mambaops.profiles.load import load_profile, names
from mambaops.steps import all_steps
from mambaops.steps.step import Step

FLAGS = Flags(
    arch="8.0;9.0+PTX",
    torch="2.13.0",
    python="3.11",
    cross=True,
    sudo=True,
    obtain=("store", "source"),
    source={"mamba-ssm": "/src/mamba", "causal-conv1d": "/src/conv"},
    source_ids={"mamba-ssm": "1" * 16, "causal-conv1d": "2" * 16},
)


def by_id(name: str) -> Step:
    return next(step for step in all_steps() if step.id == name)


def test_every_module_with_a_step_is_found_and_named_like_it() -> None:
    files = {
        path.stem.replace("_", "-")
        for path in (PACKAGE / "steps").glob("*.py")
        if "STEP = Step(" in path.read_text(encoding="utf-8")
    }
    assert {step.id for step in all_steps()} == files


@pytest.mark.parametrize("step", all_steps(), ids=lambda step: step.id)
def test_a_step_says_what_it_does_and_stands_on_steps_that_exist(step: Step) -> None:
    assert step.help.endswith((".", "?"))
    assert {*step.stands_on, *step.after} <= {one.id for one in all_steps()}


@pytest.mark.parametrize("profile", names())
def test_every_command_of_a_plan_is_understood_with_every_flag(profile: str) -> None:
    parser = Parser(contexts=collection().to_contexts())
    situation = elsewhere(profile, facts_of("no-gpu"))
    loaded = load_profile(profile)
    flags = msgspec.structs.replace(FLAGS, torch=loaded.torch.versions[0])
    plan = plan_of(make_case(loaded, situation, flags))
    for step in plan.steps:
        words = shlex.split(step.command)
        parsed = parser.parse_argv(words[1:])
        assert [one.name for one in parsed] == [words[1]]
        assert parsed[0].args["profile"].value == profile
        if step.id.startswith("check-"):
            continue
        assert parsed[0].args["arch"].value == FLAGS.arch
        assert parsed[0].args["obtain"].value == "store,source"
        assert parsed[0].args["source"].value == [
            "mamba-ssm=/src/mamba",
            "causal-conv1d=/src/conv",
        ]


@pytest.mark.parametrize(
    "shuffled", [all_steps(), all_steps()[::-1]], ids=["as found", "backwards"]
)
def test_every_step_comes_after_what_it_waits_for(shuffled: tuple[Step, ...]) -> None:
    order = [step.id for step in ordered(shuffled)]
    assert sorted(order) == [step.id for step in all_steps()]
    for step in all_steps():
        waits_for = {*step.stands_on, *step.after}
        assert waits_for <= set(order[: order.index(step.id)])
    assert order[0] == "check-machine"  # nothing is fetched for a machine that does not fit
    assert order[-1] == "verify"
    assert order.index("find-wheels") < order.index("check-compiler")


def test_a_step_alone_brings_what_it_stands_on() -> None:
    assert with_foundations(["patch-setup"], all_steps()) == {
        "patch-setup",
        "fetch-sources",
        "install-torch",
        "prepare-build",
        "create-venv",
    }
    assert {"install-toolkit", "patch-setup", "check-space", "create-venv"} <= with_foundations(
        ["build-wheel:mamba-ssm"], all_steps()
    )
    assert with_foundations(["verify"], all_steps()) == {"verify"}
