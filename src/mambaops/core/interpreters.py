"""Which Python is meant: the one that was named, the active environment's, ours, or any of a version.

What an interpreter's environment holds is asked elsewhere: `facts.collect`, `install.installers`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from mambaops.core import process
from mambaops.core.errors import UsageError

HINT = "name one with `--python /path/to/env/bin/python`"
# conda puts it at the top of an environment on Windows
WINDOWS = ("Scripts/python.exe", "python.exe")


def ours() -> Path:
    """The interpreter that runs mambaops."""
    return Path(sys.executable)


def of_environment(folder: Path) -> Path:
    """Where an environment's interpreter lies, whether it is there yet or not."""
    if os.name != "nt":
        return folder / "bin" / "python"
    return folder / WINDOWS[(folder / "conda-meta").is_dir()]


def named(python: str | Path) -> Path:
    """The interpreter that somebody named: by its path, its environment's folder, or its name on PATH.

    Raises:
        UsageError: nothing of the kind is there, or it may not be run.
    """
    path = Path(python)
    if path.is_dir():
        path = of_environment(path)
    # not resolved: a virtual environment is known by the path of its link
    found = process.which(str(path))
    if found is None:
        raise UsageError(f"there is no interpreter `{python}` that can be run", hint=HINT)
    return found.absolute()


def active(env: Mapping[str, str] | None = None) -> Path | None:
    """The interpreter of the environment that is active: `VIRTUAL_ENV`, else `CONDA_PREFIX`."""
    env = os.environ if env is None else env
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        folder = env.get(variable)
        if folder and of_environment(Path(folder)).is_file():
            return of_environment(Path(folder))
    return None


def to_look_at(python: str | Path = "", *, own: Path | None = None) -> Path:
    """The interpreter that a question is about: named, else the profile's `own`, the active one, ours.

    Raises:
        UsageError: one was named that is not there.
    """
    if python:
        return named(python)
    if own is not None and own.exists():
        return own
    return active() or ours()


def to_change(python: str | Path = "") -> Path:
    """The interpreter whose environment is to be changed: named, else the active one, else `python` on PATH.

    Never ours by itself: what runs mambaops is not what packages are installed for.

    Raises:
        UsageError: it is not there, or there is none.
    """
    if python:
        return named(python)
    found = active() or process.which("python") or process.which("python3")
    if found is None:
        raise UsageError("no environment is active and no `python` is on PATH", hint=HINT)
    return found


def shared_by(python: Path) -> str:
    """Whose an interpreter is that belongs to no environment: the system's, or conda's base; "" inside of one.

    Other programs stand on what is installed there.
    """
    prefix = python.absolute().parent
    prefix = prefix.parent if prefix.name in ("bin", "Scripts") else prefix
    if (prefix / "pyvenv.cfg").is_file():
        return ""
    if not (prefix / "conda-meta").is_dir():
        return "the system's Python, or one that several environments stand on"
    is_base = (prefix / "condabin").is_dir() or any(
        (prefix / "conda-meta").glob("conda-[0-9]*.json")
    )
    return "conda's base, which conda itself runs in" if is_base else ""


def to_install_into(python: str | Path = "", *, system: bool = False) -> Path:
    """As `to_change`, and an environment's own.

    Args:
        system: the person said that it may be the system's Python or conda's base.

    Raises:
        UsageError: it is not there, or others stand on it.
    """
    found = to_change(python)
    if not system and (whose := shared_by(found)):
        raise UsageError(
            f"{found} is {whose}: nothing is installed there",
            hint=f"{HINT}; `python3 -m venv .venv` makes one. Where it is meant: `--system`",
        )
    return found


def of_version(version: str) -> Path | None:
    """An interpreter of "3.11" that environments can be made with; None where this machine has none.

    The one below ours if it fits, else what is on PATH (also behind pyenv, mise and asdf), else uv's.
    """
    from python_discovery import get_interpreter

    found = get_interpreter(f"cpython{version}", predicate=lambda one: not one.free_threaded)
    below = found and (found.system_executable or found.executable)
    return Path(below) if below else None
