"""The command line: an Invoke program whose tasks are the files of `cli/tasks/`.

`mambaops NAME` and `invoke NAME` (by way of `tasks.py`) are the same tasks.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from types import ModuleType
from typing import Any

from invoke import Collection, Exit, Program
from invoke.tasks import Task

from mambaops import __version__
from mambaops.cli.aliases import spelled
from mambaops.cli.task import say
from mambaops.cli.variadic import spread


def collection() -> Collection:
    """Every task of every module in `cli/tasks/`, flat, by its dashed name."""
    from mambaops.cli import tasks

    namespace = Collection()
    for info in sorted(pkgutil.iter_modules(tasks.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{tasks.__name__}.{info.name}")
        for one in _tasks_of(module):
            namespace.add_task(one)
    return namespace


def _tasks_of(module: ModuleType) -> list[Task[Any]]:
    """Those that a module defines, and those that it makes (`tasks()`)."""
    made: list[Task[Any]] = module.tasks() if hasattr(module, "tasks") else []
    own = [one for one in vars(module).values() if isinstance(one, Task)]
    return [*made, *(one for one in own if one.__module__ == module.__name__)]


class _Commands(Program):
    """Says what Invoke raises a ValueError for: a number that is none."""

    def parse_tasks(self) -> None:
        try:
            super().parse_tasks()
        except ValueError as error:
            given = str(error).rpartition(": ")[2].strip("'")
            say(f"error: `{given}` stands where a whole number is wanted\n")
            say("hint: `mambaops --help COMMAND` says what each option takes")
            raise Exit(code=2) from error


def main() -> None:
    """The `mambaops` command."""
    from mambaops.cli.faults import guarded

    sys.exit(guarded(_run))


def _run() -> int:
    namespace = collection()
    program = _Commands(
        name="mambaops", binary="mambaops", namespace=namespace, version=__version__
    )
    program.run(spread(spelled(sys.argv), namespace.task_names))
    return 0
