"""A command's words to the values of its function's parameters."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from mambaops.cli.command import REQUIRED, Command, Option
from mambaops.cli.find import by_name
from mambaops.cli.near import nearest
from mambaops.core.errors import UsageError

MOST = 10**9  # far more than any count or time that makes sense


class Parsed(NamedTuple):
    """What a command line says: values for every parameter, and the words of another program."""

    values: dict[str, Any]
    rest: list[str]
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    help: bool = False


def parsed(command: Command, words: Sequence[str]) -> Parsed:
    """The values of a command line. Pure.

    Raises:
        UsageError: an unknown or missing word, a value of the wrong kind, flags that contradict.
    """
    ours, behind = _split(words)
    found, extra = _flags(command, ours)
    given: dict[str, Any] = vars(found)
    common = {key: bool(given.pop(key, False)) for key in ("quiet", "verbose", "help")}
    as_json = bool(given.get("json") if command.option("json") else given.pop("json", False))
    if common["help"]:
        return Parsed(values={}, rest=[], json=as_json, **common)
    rest = _place(command, given, extra, behind)
    if as_json and not command.json:
        raise UsageError(
            f"{command.words} has no --json: stdout belongs to the program that it becomes",
            hint=_help_of(command),
        )
    _refuse(command, given)
    values = {one.key: given.get(one.key, _default(one)) for one in command.options}
    return Parsed(values=values, rest=rest, json=as_json, **common)


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Before and after `--`."""
    end = words.index("--") if "--" in words else len(words)
    return list(words[:end]), list(words[end + 1 :])


def _flags(command: Command, words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    for word in words:
        if re.match(r"-[a-z][a-z-]+", word) and f"-{word}" in known_flags(command):
            raise UsageError(f"`{word}` has one dash", hint=f"did you mean `-{word}`?")
        if re.fullmatch(r"-[^=]*=--", word):
            # argparse takes these two dashes for the end of the flags
            raise UsageError(f"`{word}` has no value", hint=_help_of(command))
    try:
        return _parser(command).parse_known_args(words)
    except argparse.ArgumentError as error:
        flag = (error.argument_name or "").split("/")[-1]
        raise UsageError(
            f"`{flag}`: {_wanted(error.message, words, flag)}", hint=_help_of(command)
        ) from error


def _wanted(message: str, words: list[str], flag: str) -> str:
    if "expected one argument" in message:
        return "a value is wanted after it"
    if "ignored explicit argument" in message:
        return "it takes no value"
    return message


class _NoHelp(argparse.HelpFormatter):
    """Never shown: `help_text` has the help. With a width, argparse does not load what asks the terminal."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=80)


def _parser(command: Command) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mambaops", add_help=False, allow_abbrev=False, exit_on_error=False,
        argument_default=argparse.SUPPRESS, formatter_class=_NoHelp,
    )  # fmt: skip
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    for one in command.options:
        _add(parser, one, bare=one.name in command.optional)
    if command.option("json") is None:
        parser.add_argument("--json", action="store_true")
    return parser


def _add(parser: argparse.ArgumentParser, one: Option, *, bare: bool = False) -> None:
    names = [f"-{one.letter}"] if one.letter else []
    names.append(f"--{one.name}")
    if one.kind is bool:
        parser.add_argument(*names, dest=one.key, action="store_true")
        if one.default is True:
            parser.add_argument(f"--no-{one.name}", dest=one.key, action="store_false")
    elif one.kind is list:
        parser.add_argument(*names, dest=one.key, action="append")
    elif bare:
        parser.add_argument(*names, dest=one.key, type=_Typed(one.kind), nargs="?", const=True)
    else:
        parser.add_argument(*names, dest=one.key, type=_Typed(one.kind))


class _Typed:
    """A value of a kind; the error says which was found and which is wanted."""

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def __call__(self, text: str) -> Any:
        wanted = "a number" if self.kind is float else "a whole number"
        try:
            found = self.kind(text)
        except ValueError:
            raise UsageError(f"`{text}` stands where {wanted} is wanted") from None
        if self.kind in (int, float) and not abs(found) <= MOST:  # also what is not a number: nan
            raise UsageError(f"`{text}` stands where {wanted} up to {MOST} is wanted")
        return found


def _place(
    command: Command, given: dict[str, Any], extra: list[str], behind: list[str]
) -> list[str]:
    """The words without a flag to where they belong; what another program gets."""
    if command.rest == "flags":
        _refuse_misspelt(command, extra)
        return extra + behind
    unknown = next((word for word in extra if word.startswith("-") and len(word) > 1), "")
    if unknown:
        raise _unknown_flag(command, unknown)
    if command.rest == "words":
        if extra:
            raise UsageError(
                f"`{extra[0]}`: {command.words} takes no words of its own",
                hint=f"words for the program stand after `--`: mambaops {command.words} -- {extra[0]}",
            )
        return behind
    _operands(command, given, extra + behind)
    return []


def _operands(command: Command, given: dict[str, Any], words: list[str]) -> None:
    option = command.option(command.operand.replace("_", "-")) if command.operand else None
    if option is None:
        _refuse_words(command, words, "flags only")
        return
    words = list(words)
    if option.kind is list:
        given[option.key] = [*given.get(option.key, ()), *words] or []
        return
    if words and option.key not in given:
        given[option.key] = _Typed(option.kind)(words.pop(0))
    if command.further and words:
        given[command.further] = [*given.get(command.further, ()), *words]
    else:
        _refuse_words(command, words, f"one {option.name}")


def _refuse_words(command: Command, words: list[str], takes: str) -> None:
    for word in words[:1]:
        other = by_name(word.replace("_", "-"))
        raise UsageError(
            f"`{word}`: {command.words} takes {takes}",
            hint=f"one command at a time: `mambaops {command.words} && mambaops {other.words}`"
            if other
            else _help_of(command),
        )


def _refuse(command: Command, given: dict[str, Any]) -> None:
    """Flags that are missing, would do nothing, or contradict each other."""
    for one in command.options:
        if one.default is REQUIRED and one.key not in given:
            wanted = one.name.upper() if one.name == command.operand else f"--{one.name}"
            raise UsageError(
                f"{command.words}: {wanted} is missing ({one.help})", hint=_help_of(command)
            )
    for name, others in command.needs.items():
        if given.get(name) and not any(given.get(other) for other in others):
            wanted = " or ".join(_flag(other) for other in others)
            raise UsageError(f"{_flag(name)} does nothing without {wanted}", hint=_help_of(command))
    for names in command.excludes:
        options = [command.option(_dashed(name)) for name in names]
        both = [f"--{one.name}" for one in options if one and given.get(one.key)]
        if len(both) > 1:
            raise UsageError(f"{' and '.join(both)} exclude each other")


def _flag(name: str) -> str:
    return f"--{_dashed(name)}"


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _default(one: Option) -> Any:
    return [] if one.kind is list else one.default


def known_flags(command: Command) -> list[str]:
    """Every long flag of a command."""
    names = [f"--{one.name}" for one in command.options]
    names += [f"--no-{one.name}" for one in command.options if one.kind is bool and one.default]
    return sorted({*names, "--help", "--json", "--quiet", "--verbose"})


def _unknown_flag(command: Command, word: str) -> UsageError:
    flag = word.partition("=")[0]
    near = nearest(flag if flag.startswith("--") else f"-{flag}", known_flags(command))
    hint = f"did you mean `{near}`?" if near else _help_of(command)
    if flag in ("--dry", "--dry-run") and "--dry-run" not in known_flags(command):
        hint = "`mambaops plan` shows what would be done, and changes nothing"
    return UsageError(f"`{flag}`: {command.words} has no such flag", hint=hint)


def _refuse_misspelt(command: Command, extra: list[str]) -> None:
    """What is handed on to another program is none of our flags with a wrong letter."""
    for word in extra:
        flag = word.partition("=")[0]
        if flag.startswith("--") and nearest(flag, known_flags(command), 0.85):
            raise _unknown_flag(command, word)


def _help_of(command: Command) -> str:
    return f"`mambaops {command.words} --help` has its flags and examples"
