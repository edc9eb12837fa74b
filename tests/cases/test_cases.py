"""Every decision as a file: the machine, what is there, the flags; and what is to come of it."""

from __future__ import annotations

import functools
from typing import Any

import msgspec
import plan_cases
import pytest
from plan_cases import Expected, ExpectedStep, Prepared

from mambaops.cli import collection
from mambaops.core.errors import MambaopsError
from mambaops.decide.case import Case, make_case
from mambaops.decide.packages import to_build
from mambaops.decide.toolkit import compiler_floor, cxx_standard, fitting_toolkit, host_compiler
from mambaops.plan import Plan, plan_of
from mambaops.plan.script import to_script
from mambaops.profiles.load import names as profile_names

CASES = [pytest.param(plan_cases.prepared(name), id=name) for name in plan_cases.names()]


@pytest.mark.parametrize("ready", CASES)
def test_case(ready: Prepared) -> None:
    file = ready.file
    try:
        profile, situation, flags = plan_cases.inputs(ready)
        case = make_case(profile, situation, flags, only=tuple(file.only))
        plan = plan_of(case)
    except MambaopsError as error:
        _check_error(file.expect, error)
        return
    assert file.expect.error is None, "no error was raised"
    _check_choice(file.expect, plan)
    _check_steps(file.expect, plan)
    assert {step.command.split()[1] for step in plan.steps} <= _tasks()
    _check_case(file.expect, case)


@functools.cache
def _tasks() -> set[str]:
    return set(collection().task_names)


def _check_error(expect: Expected, error: MambaopsError) -> None:
    if expect.error is None:
        raise error
    assert error.exit_code == expect.error.exit
    assert expect.error.message in error.message
    assert expect.error.hint in error.hint


def _check_choice(expect: Expected, plan: Plan) -> None:
    choice = _plain(plan.choice)
    assert {name: choice[name] for name in expect.choice} == expect.choice
    for name, text in expect.reasons.items():
        assert text in plan.choice.reasons[name]
    if expect.note is not None:
        for text, note in zip(expect.note, plan.choice.notes, strict=True):
            assert text in note


def _check_steps(expect: Expected, plan: Plan) -> None:
    for step in plan.steps:
        assert step.reason, step.id
        assert step.hint or step.status != "blocked", step.id
    found = {step.id: step for step in plan.steps}
    there = [f"{step.id}: {step.status}" for step in plan.steps]
    assert not expect.plan or there == expect.plan
    assert [one for one in there if one in expect.order] == expect.order
    for name in expect.absent:
        assert name not in found
    for name, wanted in expect.steps.items():
        assert name in found, sorted(found)
        _check_step(_plain(found[name]), _whole(wanted))


def _plain(record: msgspec.Struct) -> dict[str, Any]:
    """As a file would hold it: lists, not tuples."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record))
    return plain


def _whole(wanted: str | ExpectedStep) -> ExpectedStep:
    return ExpectedStep(status=wanted) if isinstance(wanted, str) else wanted


def _check_step(step: dict[str, Any], wanted: ExpectedStep) -> None:
    assert step["status"] == wanted.status, step
    assert wanted.reason in step["reason"]
    assert not wanted.lacks or wanted.lacks not in step["reason"]
    if wanted.hint is not None:
        assert step["hint"] == "" if wanted.hint == "" else wanted.hint in step["hint"]
    assert wanted.command in (None, step["command"])


def _check_case(expect: Expected, case: Case) -> None:
    for package, fields in expect.key.items():
        key = _plain(case.key(package))
        assert {name: key.get(name) for name in fields} == fields
    if expect.other_key_than:
        other = make_case(*plan_cases.inputs(plan_cases.prepared(expect.other_key_than)))
        for package in case.packages:
            assert case.wanted_version(package) != other.wanted_version(package)
    toolkit, _ = fitting_toolkit(case)
    if expect.nvcc is not None:
        assert (toolkit.nvcc if toolkit else "") == expect.nvcc
    if expect.compiler is not None:
        found = host_compiler(
            case.facts, toolkit.gcc_max if toolkit else None, compiler_floor(cxx_standard(case))
        )
        assert (found.path if found else "") == expect.compiler
    if expect.build is not None:
        assert [name for name, _ in to_build(case)] == expect.build
    if expect.script is not None:
        text = to_script(case)
        assert [one for one in expect.script.has if one not in text] == []
        assert [one for one in expect.script.lacks if one in text] == []


@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_has_a_case_with_its_whole_plan(profile: str) -> None:
    files = [plan_cases.prepared(name).file for name in plan_cases.names()]
    assert any(
        file.profile == profile and (file.expect.plan or file.expect.order) for file in files
    )


def test_a_slip_of_the_pen_in_a_case_is_an_error() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `stpes`"):
        msgspec.convert({"stpes": {}}, Expected)
