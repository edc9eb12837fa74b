"""The command line: the files of `cli/tasks/` declare the commands.

`mambaops NAME` reads them with a parser of its own (`program`), `invoke NAME` by way of `tasks.py` as Invoke's
tasks (`invoke_tasks`). What is imported here comes before Ctrl-C can be told: as little as possible.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invoke import Collection

# what a short command makes lives until its end: to look for garbage among it is a twentieth of a plan's time
RARELY = 50_000


def main() -> None:
    """The `mambaops` command."""
    gc.set_threshold(RARELY)
    try:
        from mambaops.cli.faults import guarded
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(guarded(_run))


def _run() -> int:
    from mambaops.cli.program import run

    return run(sys.argv)


def collection() -> Collection:
    """The commands as tasks of Invoke, flat, by their dashed names."""
    from mambaops.cli.invoke_tasks import collection as made

    return made()
