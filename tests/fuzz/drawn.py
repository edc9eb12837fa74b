"""Draws command lines, and what surrounds them, from the program's own table of commands."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import contents

from mambaops.cli.command import Command, Option
from mambaops.cli.find import every_command
from mambaops.knowledge.packages import packages
from mambaops.profiles.load import names

COMMANDS = every_command()
NASTY = [
    "", " ", "-", "--", "-1", "0", "1", "x", "nan", "99999999999999999999", "1e999", "9.0", "90", "9.0;;8.0",
    "12.8", "3.11", "2.8.0", "日本", "naïve", "\udcff\udcfe", "a\nb", "\x1b[31m", "%s%n", "{}", "$(x)", "`x`", "../..",
    "~", "~nobody/x", "n" * 300, "d/" * 150 + "f", "a" * 5000, "https://127.0.0.1:9/x.whl", "http://[", "file:///no", "C:\\x",
    "mamba-ssm==", "*.whl", "[", "x=y", "=", "a=b=c", "--help", "-h", "--json", "-xyz", "None", "\u202e",
]  # fmt: skip
WORDS = {
    "profile": ["local", "hopper", *names(), "wsl-5009", *contents.PROFILES],
    "explain": [*names(), *contents.PROFILES],
    "package": [*packages(), "mamba", *contents.PACKAGES],
    "add": [*packages(), *contents.PACKAGES],
    "facts": ["machine.json", "changed.json", *contents.FACTS],
    "log": ["-", "build.log", *contents.LOGS],
    "file": ["x-1.0-py3-none-any.whl", "requirements.txt", *contents.WHEELS, *contents.TEXTS],
    "target": [*contents.WHEELS, "mamba-ssm"],
    "url": [*contents.WHEELS, "mamba-ssm"],
    "arch": ["9.0", "8.0;9.0+PTX", "99.9", "9.0a", "native"],
    "cuda": ["11.8", "12.8", "13.0", "99.9"],
    "torch": ["2.8.0", "2.13.0", "0.1"],
    "obtain": ["source", "store,prebuilt", "sorce"],
    "shell": ["bash", "fish", "cmd", "tcsh"],
    "older-than": ["90d", "12h", "9x", "9" * 30 + "d"],
    "action": ["list", "add", "prune", "path", "lst"],
    "source": ["mamba-ssm=tree", "mamba-ssm=cut.tar.gz", "tree", "mamba-ssm=pipe"],
    "archive": ["cut.tar.gz", "bomb.tar.xz"],
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run of the program.

    Attributes:
        words: after `mambaops`.
        env: variables that differ from the usual ones.
        stdin, stdout: what they are: "empty", "noise", "closed"; "file", "full", "gone", "closed".
        encoding: of stdout and stderr.
        gone: the working folder is deleted before.
        tools: exit status of the stand-ins on PATH.
    """

    words: list[str]
    env: dict[str, str] = field(default_factory=dict)
    stdin: str = "empty"
    stdout: str = "file"
    encoding: str = "utf-8"
    gone: bool = False
    tools: int = 0


def case(seed: str) -> Case:
    """The case of a seed, the same each time."""
    rng = random.Random(seed)
    words = _line(rng)
    return Case(
        words=words,
        env=_environment(rng),
        stdin=rng.choice(["empty", "empty", "noise", "closed"]),
        stdout=rng.choice(["file"] * 12 + ["full", "gone", "closed"]),
        encoding=rng.choice(["utf-8"] * 5 + ["latin-1", "ascii"]),
        gone=rng.random() < 0.02,
        tools=rng.choice([0, 0, 1, 127]),
    )


def _line(rng: random.Random) -> list[str]:
    if rng.random() < 0.04:
        return rng.choices([*NASTY, "--list", "help", "--version", "wheels"], k=rng.randint(0, 3))
    command = rng.choice(COMMANDS)
    words = _named(rng, command).split()
    parts = [_option(rng, one) for one in _some(rng, command.options)]
    option = command.option(command.operand) if command.operand else None
    if option and rng.random() < 0.7:
        parts.append([_value(rng, option)])
    parts += [[one] for one, share in _COMMON if rng.random() < share]
    rng.shuffle(parts)
    words += [word for part in parts for word in part]
    if rng.random() < 0.08:
        words += ["--", *rng.choices(NASTY, k=rng.randint(0, 2))]
    return words


_COMMON = (("--json", 0.3), ("--quiet", 0.05), ("--verbose", 0.05), ("--help", 0.02), ("x", 0.03))


def _some(rng: random.Random, options: tuple[Option, ...]) -> list[Option]:
    return rng.sample(options, k=min(len(options), rng.choice([0, 0, 1, 1, 1, 2, 2, 3])))


def _named(rng: random.Random, command: Command) -> str:
    name = rng.choice(command.names)
    if rng.random() < 0.05:
        return name.replace("-", "_")
    return _misspelt(rng, name) if rng.random() < 0.03 else name


def _misspelt(rng: random.Random, word: str) -> str:
    place = rng.randrange(len(word))
    return word[:place] + rng.choice(["", "x", word[place] * 2]) + word[place + 1 :]


def _option(rng: random.Random, one: Option) -> list[str]:
    flag = f"--{one.name}"
    if rng.random() < 0.03:
        flag = _misspelt(rng, flag)
    if rng.random() < 0.05:
        flag = "--" + flag[2:].replace("-", "_")
    if one.kind is bool:
        return [f"--no-{one.name}" if one.default is True else flag]
    if rng.random() < 0.03:
        return [flag]
    value = _value(rng, one)
    return [f"{flag}={value}"] if rng.random() < 0.3 else [flag, value]


def _value(rng: random.Random, one: Option) -> str:
    if rng.random() < 0.2:
        return rng.choice(NASTY)
    if one.kind in (int, float):
        return str(rng.choice([0, 1, 2, -1, 3, 10**9, 10**30]))
    if one.name in WORDS and rng.random() < 0.5:
        return rng.choice(
            WORDS[one.name][:2]
        )  # what is right, so that more than the beginning runs
    return rng.choice(WORDS.get(one.name) or [*contents.EVERY, "new", "ro/new", "file/x"])


def _environment(rng: random.Random) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, values in _VARIABLES.items():
        if rng.random() < 0.05:
            found[name] = rng.choice(values)
    return found


_PLACES = ["file", "ro", "loop", "pipe", "dangling", "n" * 300, "new", "", "\udcff"]
_VARIABLES = {
    "MAMBAOPS_HOME": _PLACES,
    "MAMBAOPS_CACHE": _PLACES,
    "MAMBAOPS_MIRRORS": [*contents.PACKAGES, *_PLACES],
    "HOME": _PLACES,
    "TMPDIR": _PLACES,
    "XDG_CACHE_HOME": _PLACES,
    "CUDA_HOME": _PLACES,
    "VIRTUAL_ENV": _PLACES,
    "COLUMNS": ["0", "1", "-5", "x", "9" * 20],
    "NO_COLOR": ["1"],
    "TERM": ["dumb", "", "x"],
    "LC_ALL": ["C", "xx_XX"],
    "TZ": ["x", "../../x"],
    "SHELL": ["", "tcsh", "/no"],
    "PATH": ["", "/no", "bin:bin"],
    "HTTPS_PROXY": ["x", "http://127.0.0.1:9", "socks9://x"],
}
