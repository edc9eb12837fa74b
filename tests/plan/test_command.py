"""The words of a command that a person pastes to do one step."""

from __future__ import annotations

import pytest
from recorded import facts_of

from mambaops.decide.case import Case, make_case
from mambaops.decide.situation import Flags, elsewhere
from mambaops.plan import plan_of
from mambaops.plan.command import flag_words
from mambaops.plan.script import to_script
from mambaops.profiles.load import load_profile


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (Flags(), []),
        (Flags(arch="8.0;9.0"), ["--arch", "8.0;9.0"]),
        (Flags(torch="2.9.1"), ["--torch", "2.9.1"]),
        (Flags(python="3.12"), ["--python", "3.12"]),
        (Flags(source={"mamba-ssm": "/src"}), ["--source", "mamba-ssm=/src"]),
        (
            Flags(add={"gsplat": "", "mine": "/x/mine.toml"}),
            ["--add", "gsplat", "--add", "/x/mine.toml"],
        ),
        (Flags(cross=True), ["--cross"]),
        (Flags(sudo=True), ["--sudo"]),
        (Flags(obtain=("store", "source")), ["--obtain", "store,source"]),
    ],
)
def test_a_flag_is_named_as_it_was_given(flags: Flags, words: list[str]) -> None:
    assert flag_words(flags) == words


def case_of(profile: str) -> Case:
    facts = facts_of("hopper")
    return make_case(load_profile("local"), elsewhere("local", facts), Flags(profile=profile))


@pytest.mark.parametrize(("named", "said"), [("", "local"), ("/my/own.yaml", "/my/own.yaml")])
def test_the_profile_is_named_as_it_was_given(named: str, said: str) -> None:
    case = case_of(named)
    assert f"`mambaops plan --profile {said} --script`" in to_script(case)
    steps = plan_of(case).steps
    assert all(f"--profile {said}" in step.command for step in steps)
    assert to_script(case).count("\n\n# ") == len(steps)  # each in a section of its own


def test_the_steps_of_a_status_are_told_in_their_order() -> None:
    plan = plan_of(case_of(""))
    every = [plan.with_status(status) for status in ("done", "needed", "blocked")]
    assert sorted(step.id for part in every for step in part) == sorted(
        step.id for step in plan.steps
    )
    assert all(part == [one for one in plan.steps if one in part] for part in every)
    assert {step.status for step in plan.with_status("needed")} == {"needed"}
