"""What a command is: a function, and what its words, its help and its place in the list come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from keyword import iskeyword
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

REQUIRED = object()  # the default of a parameter that has none
# a short letter means one thing, whatever the command
LETTERS = {
    "dry-run": "n",
    "jobs": "j",
    "output": "o",
    "profile": "p",
    "yes": "y",
}
GROUPS = {
    "build": "Build",
    "wheels": "Wheels",
    "diagnose": "Find out what is wrong",
    "fleet": "Several machines",
    "system": "The system",
    "train": "Train",
    "steps": "Single steps of build-mamba",
    "develop": "Develop",
}


class Context(Protocol):
    """What a command's function is handed first: the words after `--`, as Invoke has them."""

    @property
    def remainder(self) -> str: ...


class Words:
    """The words of another program, one by one."""

    def __init__(self, words: list[str]) -> None:
        self.words = words

    @property
    def remainder(self) -> str:
        """As Invoke has them: one text."""
        import shlex

        return shlex.join(self.words)


class Option(NamedTuple):
    """One parameter of a command's function, and so one flag.

    Attributes:
        name: with dashes.
        kind: `bool`, `int`, `float`, `str`, or `list` (of str).
        default: `REQUIRED` where there is none.
    """

    name: str
    kind: type
    default: Any = REQUIRED
    help: str = ""

    @property
    def key(self) -> str:
        """The name of the function's parameter; `for_` is that of `for`."""
        key = self.name.replace("-", "_")
        return f"{key}_" if iskeyword(key) else key

    @property
    def letter(self) -> str:
        return LETTERS.get(self.name, "")


class Command(NamedTuple):
    """One command.

    Attributes:
        name: in one word, with dashes: `select-wheel`.
        verb: the words that people type, where they are others: `wheels choose`.
        operand: the option whose value may stand without its flag.
        further: the option that further words without a flag belong to.
        rest: what becomes of words of another program: "" there are none, "words" they stand after
            `--`, "flags" unknown flags are handed on too.
        needs: option -> the options of which one must be given too, or it would do nothing.
        excludes: options that cannot be given together.
        shows: does instead what `--dry` asks for, changing nothing; None: that is refused.
        optional: options whose value may be left out: they are True then.
        json: it can say what it has to say as JSON; False where another program has our stdout.
    """

    name: str
    body: Callable[..., int | None]
    options: tuple[Option, ...]
    group: str = "develop"
    verb: str = ""
    doc: str = ""
    examples: tuple[str, ...] = ()
    operand: str = ""
    further: str = ""
    rest: str = ""
    aliases: tuple[str, ...] = ()
    positional: tuple[str, ...] = ()
    needs: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    excludes: tuple[tuple[str, ...], ...] = ()
    shows: Callable[[Mapping[str, Any]], None] | None = None
    optional: tuple[str, ...] = ()
    json: bool = True
    module: str = ""

    @property
    def words(self) -> str:
        """What people type after `mambaops`."""
        return self.verb or self.name

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that it is called."""
        return (self.words, self.name, self.words.replace(" ", "-"), *self.aliases)

    @property
    def summary(self) -> str:
        """The first sentence, for the list."""
        return " ".join(self.doc.strip().split("\n\n")[0].split())

    @property
    def details(self) -> str:
        """What follows it."""
        import textwrap

        _, _, rest = self.doc.strip().partition("\n\n")
        return textwrap.dedent(rest).strip()

    def option(self, name: str) -> Option | None:
        return next((one for one in self.options if one.name == name), None)


def options_of(
    defaults: Mapping[str, Any], help: Mapping[str, str], lists: tuple[str, ...] = ()
) -> tuple[Option, ...]:
    """A function's parameters as options; a type is that of the default."""
    texts = {_flag(key): text for key, text in help.items()}
    return tuple(
        Option(
            name=_flag(key),
            kind=list if key in lists else _kind(default),
            default=None if key in lists else default,
            help=texts.get(_flag(key), "print JSON" if key == "json" else ""),
        )
        for key, default in defaults.items()
    )


def _flag(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _kind(default: Any) -> type:
    return str if default is REQUIRED or default is None else type(default)


def parameters(body: Callable[..., Any]) -> dict[str, Any]:
    """Name -> default of a function's parameters, the first one (the context) left out."""
    code, given = body.__code__, body.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount]
    bare = len(names) - len(given)
    return {
        name: REQUIRED if place < bare else given[place - bare]
        for place, name in enumerate(names)
        if place
    }
