"""Which interpreter and which machine an installation is for, when nobody says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mambaops.core import process
from mambaops.core.errors import UsageError

if TYPE_CHECKING:
    from mambaops.facts.model import Facts


def default_python() -> Path:
    """The active environment's interpreter: `VIRTUAL_ENV`, `CONDA_PREFIX`, else `python` on PATH.

    Raises:
        UsageError: none of them is there.
    """
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        folder = os.environ.get(variable)
        if folder and (Path(folder) / "bin/python").is_file():
            return Path(folder) / "bin/python"
    found = process.which("python") or process.which("python3")
    if found is None:
        raise UsageError(
            "no environment is active and no `python` is on PATH",
            hint="name the interpreter: `--python /path/to/env/bin/python`",
        )
    return found


def facts_for(path: str, python: Path) -> Facts:
    """Facts from a file, or of this machine with this interpreter."""
    if path:
        from mambaops.facts.model import load

        return load(Path(path))
    from mambaops.facts.collect import collect
    from mambaops.install.installers import find_python

    return collect(find_python(python))
