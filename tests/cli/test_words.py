"""What people type is understood, and what is not understood is told with what was meant."""

from __future__ import annotations

from typing import Any

import pytest

from mambaops.cli.aliases import spelled
from mambaops.cli.command import Command
from mambaops.cli.find import by_name, every_command, find
from mambaops.cli.parse import parsed
from mambaops.core.errors import UsageError


def read(line: list[str]) -> tuple[str, dict[str, Any], list[str]]:
    """The command's name, the values that differ from what it takes unasked, the program's words."""
    command, words = find(line)
    found = parsed(command, spelled(words))
    usual = {one.key: [] if one.kind is list else one.default for one in command.options}
    return (
        command.name,
        {key: value for key, value in found.values.items() if value != usual[key]},
        found.rest,
    )


@pytest.mark.parametrize(
    ("line", "name", "values", "rest"),
    [
        ("diagnose build.log", "diagnose", {"log": "build.log"}, []),
        ("diagnose --json build.log", "diagnose", {"log": "build.log", "json": True}, []),
        ("diagnose -", "diagnose", {"log": "-"}, []),
        ("select-wheel mamba-ssm", "select-wheel", {"package": "mamba-ssm"}, []),
        ("wheels choose mamba-ssm --all", "select-wheel", {"package": "mamba-ssm", "all": True}, []),
        ("wheels-choose mamba-ssm", "select-wheel", {"package": "mamba-ssm"}, []),
        ("wheels add a.whl", "wheels-add", {"file": "a.whl"}, []),
        ("profiles wsl-5090", "profiles", {"explain": "wsl-5090"}, []),
        ("inspect-wheel a.whl", "inspect-wheel", {"target": "a.whl"}, []),
        ("inspect-wheel --target a.whl", "inspect-wheel", {"target": "a.whl"}, []),
        ("plan wsl-5090 -j 3", "plan", {"profile": "wsl-5090", "jobs": 3}, []),
        ("plan -p hopper -j3", "plan", {"profile": "hopper", "jobs": 3}, []),
        ("build_mamba --arch=9.0", "build-mamba", {"arch": "9.0"}, []),
        ("build-wheel mamba-ssm", "build-wheel", {"package": "mamba-ssm"}, []),
        ("strip-crlf a --check b", "strip-crlf", {"path": "a", "also": ["b"], "check": True}, []),
        ("strip-crlf -- -a", "strip-crlf", {"path": "-a"}, []),
        ("map-paths D:\\x E:\\y", "map-paths", {"path": ["D:\\x", "E:\\y"]}, []),
        ("install-wheel a.whl b.whl", "install-wheel", {"file": "a.whl", "more": ["b.whl"]}, []),
        ("get-nvcc 12.8 --dry_run", "get-nvcc", {"cuda": "12.8", "dry_run": True}, []),
        ("release-gpu 4711", "release-gpu", {"pid": 4711}, []),
        ("patch-setup DIR --no-ninja", "patch-setup", {"source": ["DIR"], "ninja": False}, []),
        ("train-stage2 --demo", "train-stage2", {}, ["--demo"]),
        ("train-stage2 -p x --lr 1 -- --demo", "train-stage2", {"profile": "x"}, ["--lr", "1", "--demo"]),
        ("wsl-run -- nvidia-smi -L", "wsl-run", {}, ["nvidia-smi", "-L"]),
        ("write-door --kind wsl", "write-launcher", {"kind": "wsl"}, []),
    ],
)  # fmt: skip
def test_what_one_would_type_works(
    line: str, name: str, values: dict[str, Any], rest: list[str]
) -> None:
    assert read(line.split()) == (name, values, rest)


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("pln", "no command `pln`", "did you mean `mambaops plan`?"),
        ("selct-wheel", "no command `selct-wheel`", "did you mean `mambaops select-wheel`?"),
        ("wheels", "`wheels` wants a verb", "mambaops wheels"),
        ("wheels ad x", "no such verb", "did you mean `mambaops wheels add`?"),
        ("zzzzzz", "no command `zzzzzz`", "`mambaops --list`"),
        ("plan --porfile x", "`--porfile`", "did you mean `--profile`?"),
        ("create-venv --dry", "`--dry`: create-venv has no such flag", "`mambaops plan` shows"),
        ("plan -json", "`-json` has one dash", "did you mean `--json`?"),
        ("plan --profile", "a value is wanted after it", "plan --help"),
        ("plan --cross=yes", "it takes no value", "plan --help"),
        ("plan --jobs x", "`x` stands where a whole number is wanted", ""),
        ("plan hopper local", "plan takes one profile", "plan --help"),
        ("facts plan", "`plan`: facts takes flags only", "mambaops facts && mambaops plan"),
        ("inspect-wheel", "TARGET is missing", "wheels inspect --help"),
        ("strip-crlf", "PATH is missing", "strip-crlf --help"),
        ("diagnose --markdown", "--markdown does nothing without --list", "diagnose --help"),
        ("doctor --sudo", "--sudo does nothing without --fix", "doctor --help"),
        ("plan --script --json", "--script and --json exclude each other", ""),
        ("container ls", "takes no words of its own", "mambaops container -- ls"),
        ("generate --images a.png", "no such flag", "did you mean `--image`?"),
        ("release-gpu all", "`all` stands where a whole number is wanted", ""),
    ],
)
def test_what_is_wrong_is_told_with_what_was_meant(line: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(line.split())
    assert message in caught.value.message
    assert hint in caught.value.hint


EVERY = every_command()


@pytest.mark.parametrize("command", EVERY, ids=lambda one: one.name)
def test_every_command_has_a_group_two_examples_that_parse_and_a_sentence(command: Command) -> None:
    assert command.summary.endswith((".", "?"))
    if not command.group:  # `invoke wheels ACTION`; here each action is a command
        return
    assert len(command.examples) == 2
    for example in command.examples:
        line = example.partition("mambaops ")[2].split(")")[0].partition(" > ")[0]
        words = [word.strip("'\"") for word in line.split()]
        assert read(words)[0] == command.name or "wheels path" in line, example


def test_a_short_letter_means_one_thing() -> None:
    meanings: dict[str, set[str]] = {}
    for command in EVERY:
        for one in command.options:
            if one.letter:
                meanings.setdefault(one.letter, set()).add(one.name)
    assert {letter: len(names) for letter, names in meanings.items()} == dict.fromkeys(meanings, 1)
    assert not {*meanings} & {"h", "q", "v", "V", "l"}


def test_what_a_command_names_of_its_own_options_is_there() -> None:
    for command in EVERY:
        named = [
            command.operand,
            command.further,
            *command.needs,
            *(x for one in command.excludes for x in one),
        ]
        named += [x for others in command.needs.values() for x in others]
        for name in filter(None, named):
            assert command.option(name.replace("_", "-")), (command.name, name)


def test_no_two_commands_have_one_name() -> None:
    names = [name for one in EVERY for name in set(one.names)]
    assert sorted(set(names)) == sorted(names)
    assert all(by_name(name) for name in names if name != "wheels")
