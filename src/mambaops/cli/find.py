"""From words to the command that they name, importing only the module that has it."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType

from mambaops.cli.command import Command
from mambaops.cli.listing import ROWS
from mambaops.cli.near import nearest
from mambaops.core.errors import UsageError


def every_command() -> list[Command]:
    """Every command of every module in `cli/tasks/`, by name."""
    from mambaops.cli import tasks

    names = sorted(info.name for info in pkgutil.iter_modules(tasks.__path__))
    return [one for name in names for one in commands_of(f"{tasks.__name__}.{name}")]


@functools.cache
def commands_of(name: str) -> tuple[Command, ...]:
    """Those that a module declares, and those that it makes (`tasks()`)."""
    module: ModuleType = importlib.import_module(name)
    made: list[Command] = module.tasks() if hasattr(module, "tasks") else []
    own = [one for one in vars(module).values() if isinstance(one, Command)]
    return (*made, *(one for one in own if one.module == name))


def find(words: Sequence[str]) -> tuple[Command, list[str]]:
    """The command that the first words name, and the words after its name.

    Raises:
        UsageError: there is none; what was meant is offered.
    """
    if words[0] in nouns() and (len(words) == 1 or by_name(_two(words)) is None):
        raise _unknown_verb(list(words))
    for count in (2, 1):
        name = " ".join(word.replace("_", "-") for word in words[:count])
        if len(words) >= count and (found := by_name(name)) is not None:
            return found, list(words[count:])
    raise unknown(list(words))


def by_name(name: str) -> Command | None:
    """The command of that name (or former name, or verb), or None."""
    for row in ROWS:
        if name in row.names:
            return _among(commands_of(row.module), name)
    if " " in name:
        return None
    return _among(every_command(), name)  # a new one, which is in no list yet


def _among(commands: Iterable[Command], name: str) -> Command | None:
    return next((one for one in commands if name in one.names), None)


def unknown(words: list[str]) -> UsageError:
    """There is no such command; what is most like it."""
    near = nearest(words[0], _names()) or nearest(_two(words), _names())
    hint = f"did you mean `mambaops {near}`?" if near else "`mambaops --list` shows all commands"
    return UsageError(f"there is no command `{words[0]}`", hint=hint)


def _two(words: Sequence[str]) -> str:
    return " ".join(word.replace("_", "-") for word in words[:2])


def nouns() -> set[str]:
    """The first words of those commands that have two."""
    return {row.words.split()[0] for row in ROWS if " " in row.words}


def _unknown_verb(words: list[str]) -> UsageError:
    noun = words[0]
    verbs = [row.words.split()[1] for row in ROWS if row.words.startswith(f"{noun} ")]
    if len(words) == 1:
        return UsageError(f"`{noun}` wants a verb: {', '.join(verbs)}", hint=_example(noun))
    near = nearest(words[1], verbs)
    hint = f"did you mean `mambaops {noun} {near}`?" if near else _example(noun)
    return UsageError(
        f"`{noun} {words[1]}`: there is no such verb; there are: {', '.join(verbs)}", hint=hint
    )


def _example(noun: str) -> str:
    row = next(row for row in ROWS if row.words.startswith(f"{noun} "))
    return f"e.g. `mambaops {row.words}`"


def _names() -> Iterator[str]:
    for row in ROWS:
        yield from row.names
