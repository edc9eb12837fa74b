"""The command line: an Invoke program whose tasks are the files of `cli/tasks/`.

`mambaops NAME` and `invoke NAME` (by way of `tasks.py`) are the same tasks.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

from invoke import Collection, Program
from invoke.tasks import Task

from mambaops import __version__
from mambaops.cli.aliases import spelled
from mambaops.cli.variadic import spread


def collection() -> Collection:
    """Every task of every module in `cli/tasks/`, flat, by its dashed name."""
    from mambaops.cli import tasks

    namespace = Collection()
    for info in sorted(pkgutil.iter_modules(tasks.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{tasks.__name__}.{info.name}")
        for value in vars(module).values():
            if isinstance(value, Task) and value.__module__ == module.__name__:
                namespace.add_task(value)
    return namespace


def main() -> None:
    """The `mambaops` command."""
    namespace = collection()
    program = Program(name="mambaops", binary="mambaops", namespace=namespace, version=__version__)
    program.run(spread(spelled(sys.argv), namespace.task_names))
