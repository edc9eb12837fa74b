"""Every command that any output can contain, pasted: into a shell's parser, and into the program's own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
import recorded
from printed import bare, commands_in, complaint, is_shell, texts_of_the_code

from mambaops.cli.call import options_of
from mambaops.core.commands import Call, pasteable
from mambaops.core.errors import MambaopsError
from mambaops.decide.case import make_case
from mambaops.decide.situation import Flags, elsewhere
from mambaops.diagnose import rules
from mambaops.doctor.examine import examine
from mambaops.facts.complete import complete
from mambaops.facts.model import Facts
from mambaops.plan import plan_of
from mambaops.profiles.load import load_profile, names

MINE: dict[str, Any] = {"profile": "./my profiles/mine.yaml", "arch": "8.0;12.0+PTX"}
CALLS = {
    "installed": Call(options=options_of),
    "checkout": Call(program=".venv/bin/mambaops", flags=MINE, options=options_of),
    "module": Call(program="'/my env/bin/python' -m mambaops", gpu="8.6", options=options_of),
}


def wrong(texts: dict[str, str]) -> list[str]:
    """Every command that does not work, for every way to have called, with where it comes from."""
    found: dict[str, str] = {}
    for (text, place), call in product(texts.items(), CALLS.values()):
        for command in commands_in(pasteable(text, call)):
            found.setdefault(command, place)
    ask = not is_shell(found)
    told = {one: complaint(one, shell=ask) for one in found}
    return [f"{found[one]}: `{one}`: {why}" for one, why in told.items() if why]


@functools.cache
def texts_of(source: Callable[[], Iterator[tuple[str, str]]]) -> dict[str, str]:
    """Every text of a source once, and the first place that it comes from."""
    found: dict[str, str] = {}
    for place, text in source():
        found.setdefault(text, place)
    return found


@functools.cache
def machine(name: str) -> Facts:
    return complete(recorded.facts_of(name))


def catalogue() -> Iterator[tuple[str, str]]:
    for rule in rules.load().rules:
        parts = [*rule.fix, rule.found_by, *(text for case in rule.cases for text in case.fix)]
        yield from (
            (rule.id, text.replace("{cuda}", "12.1").replace("{major}", "13")) for text in parts
        )


def doctors() -> Iterator[tuple[str, str]]:
    for name, profile in product(recorded.names(), [None, "local", "wsl-5090", "debian-a800"]):
        for check in examine(machine(name), load_profile(profile) if profile else None):
            yield f"doctor of {name} for {profile}: {check.id}", check.remedy


def plans() -> Iterator[tuple[str, str]]:
    everywhere = product(recorded.names(), ["local"])
    for name, profile in {*everywhere, *product(["hopper", "no-gxx", "debian10-a800"], names())}:
        place = f"plan of {name} for {profile}"
        flags = Flags(arch="9.0", cross=name == "hopper")
        try:
            plan = plan_of(
                make_case(load_profile(profile), elsewhere(profile, machine(name)), flags)
            )
        except MambaopsError as error:
            yield place, error.hint
            continue
        for step in plan.steps:
            yield f"{place}: {step.id}", f"{step.hint}\n`{step.command}`"


@pytest.mark.parametrize("source", [catalogue, doctors, plans, texts_of_the_code])
def test_what_is_printed_works_when_pasted(source: Any) -> None:
    assert wrong(texts_of(source)) == []


@pytest.mark.parametrize("source", [catalogue, doctors, texts_of_the_code])
def test_no_command_stands_where_nothing_makes_it_pasteable(source: Any) -> None:
    # lines of `plan --script`, which begin with the program: see `with_program`
    # the examples of the help texts, a mark in a file, and commands that `select-wheel` and `fleet plan` make pasteable
    script = (
        "steps/patch_setup.py",
        "steps/patch_cpp_extension.py",
        "cli/",
        "payload/train/demo_data.py",
        "wheels/select/command.py",
        "fleet/packset.py",
    )
    found = {text: place for text, place in texts_of(source).items() if bare(text)}
    assert [text for text, place in found.items() if not place.startswith(script)] == []


def test_there_are_commands_to_paste() -> None:
    found = {
        one for text in [*texts_of(catalogue), *texts_of(doctors)] for one in commands_in(text)
    }
    assert {"mambaops install-toolkit", "sudo apt-get install g++-14"} <= found


@pytest.mark.parametrize(
    "command",
    [
        "mambaops build-mamba --arch <your GPU>",
        "mambaops build-mamba --archs 9.0",
        "mambaops instal-torch",
        "mambaops install-wheel",
        "mambaops wheels add --file FILE",
        "apt-get instal g++",
        "pip install …",
        "export CUDA_HOME=<it>",
    ],
)
def test_a_command_that_does_not_work_is_noticed(command: str) -> None:
    assert complaint(command) != ""


def test_the_profile_and_the_flags_of_the_call_are_repeated() -> None:
    text = pasteable(
        "`mambaops install-toolkit`: nvcc, then `mambaops purge-cache`", CALLS["checkout"]
    )
    assert text == (
        "`.venv/bin/mambaops install-toolkit --profile './my profiles/mine.yaml' --arch '8.0;12.0+PTX'`: nvcc, "
        "then `.venv/bin/mambaops purge-cache`"
    )


@pytest.mark.parametrize(
    ("text", "flags", "shown"),
    [
        ("`mambaops verify --profile x`", {"profile": "y"}, "`mambaops verify --profile x`"),
        ("`mambaops verify`", {"profile": "local", "arch": ""}, "`mambaops verify`"),
        ("`mambaops create-venv`", {"python": "3.11"}, "`mambaops create-venv --python 3.11`"),
        ("`mambaops create-venv`", {"python": "/x/python"}, "`mambaops create-venv`"),
        ("`mambaops doctor`", {"python": "3.11", "sudo": True}, "`mambaops doctor`"),
        ("`mambaops doctor`", {"python": "/x/python"}, "`mambaops doctor --python /x/python`"),
        ("`mambaops plan`", {"add": ["a b", "c"]}, "`mambaops plan --add 'a b' --add c`"),
        ("`mambaops plan --json > p`", {"cross": True}, "`mambaops plan --cross --json > p`"),
        ("`mambaops no-such`", {"profile": "y"}, "`mambaops no-such`"),
        (
            "in /x/mambaops verify, `~/mambaops x`",
            {"profile": "y"},
            "in /x/mambaops verify, `~/mambaops x`",
        ),
        ('`eval "$(mambaops shell-env)"`', {"profile": "y"}, None),
    ],
)
def test_a_flag_that_counts_for_the_command(
    text: str, flags: dict[str, Any], shown: str | None
) -> None:
    made = pasteable(text, Call(flags=flags, options=options_of))
    if shown is None:
        takes = "profile" in (options_of("shell-env") or ())
        shown = text.replace("shell-env", "shell-env --profile y") if takes else text
    assert made == shown


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        (Call(gpu="8.6;9.0"), "`mambaops build-mamba --arch '8.6;9.0'`"),
        (Call(gpu="8.6", flags={"arch": "12.0"}), "`mambaops build-mamba --arch 12.0`"),
        (Call(), "`mambaops build-mamba --arch 9.0` (9.0 is an H100: write your own GPU's)"),
    ],
)
def test_the_architecture_is_the_call_s_the_machine_s_or_an_example(call: Call, shown: str) -> None:
    assert pasteable("`mambaops build-mamba --arch ARCH`", call) == shown


def test_every_command_of_a_line_begins_with_how_this_person_starts_it() -> None:
    text = "`mambaops wheels fetch X && mambaops wheels install Y --python P`"
    call = Call(program=".venv/bin/mambaops", flags={"profile": "mine.yaml"}, options=options_of)
    assert pasteable(text, call) == (
        "`.venv/bin/mambaops wheels fetch X && .venv/bin/mambaops wheels install Y --python P`"
    )
