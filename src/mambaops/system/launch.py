"""Hand over to a program under `payload/`, run by another interpreter: same terminal, signals, status."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from mambaops.core import interpreters
from mambaops.core.errors import UsageError
from mambaops.core.files import replace_link
from mambaops.core.invocation import program
from mambaops.core.paths import CHECKOUT, PACKAGE, cache_dir


def import_path() -> Path:
    """A folder to put on the other interpreter's path that holds `mambaops` and nothing else.

    The folder that an installed package lies in holds the controller's other packages too: made for
    another Python, they would shadow those of the target. A folder with one link does not.
    """
    if PACKAGE.parent == CHECKOUT / "src":
        return PACKAGE.parent
    folder = cache_dir() / "import-path"
    link = folder / PACKAGE.name
    if not (link.is_symlink() and link.resolve() == PACKAGE):
        replace_link(link, PACKAGE)
    return folder


def command(python: Path, module: str, words: Sequence[str]) -> list[str]:
    """The command line that `hand_over` runs, as it can be pasted after `PYTHONPATH=…`."""
    return [str(python), "-m", module, *words]


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """`env` with `import_path` in front of its `PYTHONPATH`, and how hints are to name our program."""
    before = env.get("PYTHONPATH", "")
    ours = str(import_path())
    path = ours + (os.pathsep + before if before else "")
    return {**env, "PYTHONPATH": path, "MAMBAOPS_PROGRAM": program()}


def hand_over(python: str, module: str, words: Sequence[str], *, document: str = "") -> NoReturn:
    """Become `python -m module words…`: it has our terminal, gets our signals, gives our status.

    Args:
        document: the command whose outcome it prints as one JSON document; "" for what it prints by itself.

    Raises:
        UsageError: no such interpreter.
    """
    env = {**os.environ, **({"MAMBAOPS_JSON": document} if document else {})}
    argv = command(interpreters.to_look_at(python), module, words)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execve(argv[0], argv, environment(env))
    except OSError as error:
        raise UsageError(f"`{argv[0]}` cannot be run: {error.strerror}") from error
