"""Commands in texts for people, so that they work when pasted. Pure.

A text names a command as it is known everywhere, between backticks: `mambaops install-toolkit`. `pasteable` makes
of it what works for this person: the program as they reach it, and the flags of their own call that count for that
command too, so that a remedy for the profile `wsl-5090` does not act on `local`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

# flags that say what is worked on; what is only shown otherwise (`--json`) is not repeated
CARRIED = (
    "profile",
    "arch",
    "torch",
    "python",
    "source",
    "add",
    "cross",
    "sudo",
    "obtain",
    "jobs",
)
ARCH = "ARCH"  # in a text: the architecture of the machine in question
EXAMPLE = "9.0"
WORDS_OF_A_NAME = 2  # `wheels add`

_SPAN = re.compile(r"`([^`\n]+)`")
# the program's name where a command begins, e.g. not `.venv/bin/mambaops`, not `envs/mambaops`
_PROGRAM = re.compile(r"(?<![\w./-])mambaops(?= )")
_VERSION = re.compile(r"\d+(\.\d+)*")

Options = Callable[[str], Collection[str] | None]


def _unknown(name: str) -> None:
    """Without a command line to ask, no command is known to take a flag."""


class Call(NamedTuple):
    """What a printed command has to repeat.

    Attributes:
        program: how this person starts mambaops, as shell text, e.g. `.venv/bin/mambaops`.
        flags: the call's own flags by name, as its task got them.
        gpu: compute capability of the machine in question, "" where it has none or is not known.
        options: a command's name -> the flags that it takes (without dashes), None where there is no such command.
    """

    program: str = "mambaops"
    flags: Mapping[str, Any] = MappingProxyType({})
    gpu: str = ""
    options: Options = _unknown


def pasteable(text: str, call: Call) -> str:
    """The text with every `mambaops …` between backticks as it works for this person."""
    return _SPAN.sub(lambda span: _one(span, call), text) if "`" in text else text


def _one(span: re.Match[str], call: Call) -> str:
    inside = span[1]
    before, *commands = _PROGRAM.split(inside)
    if not commands:
        return span[0]
    shown = "".join(call.program + _with_flags(words, call) for words in commands)
    shown = f"`{before}{shown}`"
    if ARCH in inside.split():
        own = _text(call.flags.get("arch")) or call.gpu
        shown = shown.replace(f" {ARCH}", f" {shlex.quote(own or EXAMPLE)}")
        shown += "" if own else f" ({EXAMPLE} is an H100: write your own GPU's)"
    return shown


def _with_flags(words: str, call: Call) -> str:
    """` install-torch --json` -> ` install-torch --profile mine.yaml --json`; unknown commands stay."""
    for count in range(WORDS_OF_A_NAME, 0, -1):
        name = re.match(rf"(?: [a-z][\w-]*){{{count}}}(?![\w-])", words)
        options = call.options(name[0].strip()) if name else None
        if name and options is not None:
            rest = words[name.end() :]
            return name[0] + "".join(_flags(options, rest, call.flags)) + rest
    return words


def _flags(options: Collection[str], rest: str, flags: Mapping[str, Any]) -> list[str]:
    given = set(re.findall(r"--([a-z-]+)", rest))
    carried = [name for name in CARRIED if name in options and name not in given]
    return [
        text
        for name in carried
        if _counts(name, flags, options)
        for text in _words(name, flags[name])
    ]


def _counts(name: str, flags: Mapping[str, Any], options: Collection[str]) -> bool:
    if not flags.get(name):
        return False
    plans = "torch" in options
    if name == "profile":
        return bool(flags[name] != "local")
    if name == "python":
        # a version for what makes an environment, an interpreter for everything else
        return bool(_VERSION.fullmatch(str(flags[name]))) == plans
    if name == "sudo":
        return plans  # a permission to install packages is none to repair
    return True


def _words(name: str, value: Any) -> list[str]:
    if value is True:
        return [f" --{name}"]
    values = value if isinstance(value, list | tuple) else [value]
    return [f" --{name} {shlex.quote(str(one))}" for one in values]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
