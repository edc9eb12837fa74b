"""`libopenblas.so.0: cannot open shared object file`: where the library is, and how it is found.

numpy and torch from conda are linked against a library in the environment's own `lib`; started without
that environment being active, the loader does not look there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mambaops.core.process import run


@dataclass(frozen=True, kw_only=True, slots=True)
class LibraryReport:
    """Whether a module imports; if a library is missing, which, where one lies, and the remedy."""

    ok: bool
    module: str
    library: str = ""
    found: tuple[str, ...] = ()
    error: str = ""
    remedy: str = ""


def check(python: Path, module: str) -> LibraryReport:
    """Import `module` with that interpreter, in a process of its own, and judge what comes back."""
    program = "import sys, importlib; importlib.import_module(sys.argv[1])"
    done = run([python, "-c", program, module], check=False, timeout=120)
    if done.ok:
        return LibraryReport(ok=True, module=module)
    error = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
    library = missing_library(error)
    prefix = python.absolute().parent.parent
    found = places(prefix, library) if library else []
    return LibraryReport(
        ok=False,
        module=module,
        library=library,
        found=tuple(str(path) for path in found),
        error=error,
        remedy=remedy(prefix, library, found, conda=(prefix / "conda-meta").is_dir()),
    )


def missing_library(error: str) -> str:
    """The library that the loader did not find; "" where the error is another."""
    # e.g. "ImportError: libopenblas.so.0: cannot open shared object file: No such file or directory"
    found = re.search(r"(\S+\.so[.\d]*): cannot open shared object file", error)
    return found.group(1) if found else ""


def places(prefix: Path, library: str) -> list[Path]:
    """Folders of the environment and the system that hold the library."""
    folders = [prefix / "lib", *prefix.glob("lib/python*/site-packages/*.libs")]
    folders += [Path("/usr/lib"), *Path("/usr/lib").glob("*-linux-gnu")]
    folders += Path("/usr/lib").glob("*-linux-gnu/openblas*")
    return [folder for folder in folders if (folder / library).exists()]


def remedy(prefix: Path, library: str, found: list[Path], *, conda: bool) -> str:
    """The command that repairs it; "" where no library is missing. Pure."""
    if not library:
        return ""
    if found:
        return (
            f"{library} is in {found[0]}, where the loader does not look:\n"
            f'  export LD_LIBRARY_PATH="{found[0]}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"'
        )
    if conda and "openblas" in library:
        return f"  `conda install -y -p {prefix} -c conda-forge libopenblas`"
    if "openblas" in library:
        return "  `sudo apt-get install -y libopenblas0`"
    return f"nothing here holds {library}: install the package that it belongs to"
