"""How this person starts mambaops: what a printed command has to begin with."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

NAME = "mambaops"
# programs that put an environment on PATH for their children alone
FOR_CHILDREN = ("NOX_CURRENT_SESSION", "UV_RUN_RECURSION_DEPTH", "TOX_ENV_NAME")


def program() -> str:
    """The words that start this very mambaops from the working folder, as shell text."""
    return program_of(sys.argv[0], sys.executable, os.environ, _folder())


def program_of(started: str, python: str, env: Mapping[str, str], folder: Path | None) -> str:
    """`mambaops` where PATH leads to it; else its path; else the interpreter with `-m mambaops`.

    Args:
        started: `argv[0]`: mambaops, invoke, or the file that `python -m mambaops` runs.
        python: the interpreter that runs it.
        folder: the working folder; None where it was deleted.
    """
    script = _script(Path(started), Path(python))
    if script is None:
        return f"{shlex.quote(_shown(Path(python), folder))} -m {NAME}"
    import shutil

    found = (
        None
        if any(env.get(one) for one in FOR_CHILDREN)
        else shutil.which(NAME, path=env.get("PATH"))
    )
    if found and Path(found).resolve() == script.resolve():
        return NAME
    return shlex.quote(_shown(script, folder))


def _script(started: Path, python: Path) -> Path | None:
    """The program `mambaops` that was started, or that lies beside the interpreter that runs."""
    if started.stem == NAME and started.is_file():
        return started.absolute()
    beside = [python.with_name(NAME), python.with_name(f"{NAME}.exe")]
    return next((path for path in beside if path.is_file()), None)


def _shown(path: Path, folder: Path | None) -> str:
    """Relative where it lies below the working folder; never resolved: a venv is known by its links."""
    if folder is not None and folder.name and path.is_relative_to(folder):
        return str(path.relative_to(folder))
    return str(path)


def _folder() -> Path | None:
    try:
        return Path.cwd()
    except OSError:
        return None
