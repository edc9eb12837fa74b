"""Put the stand-in kernel modules into a target environment, or take them out again.

They let unmodified `mamba_ssm` and `causal_conv1d` import and run where nothing was compiled. They are
an ordinary distribution, `mambaops-fallback`, with a RECORD: pip can list and uninstall it.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from mambaops.core import paths, process
from mambaops.core.errors import MachineError, MambaopsError, StepDidNotTake
from mambaops.fallback import distribution

if TYPE_CHECKING:
    from filelock import BaseFileLock

_LOOK_SECONDS = 300.0


class ModuleFound(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel module of the target. `error`: why it cannot be imported, None if it can."""

    file: str
    standin: bool
    error: str | None


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """What `payload/standins/look.py` saw: versions by distribution name, modules by module name."""

    python: str
    purelib: str
    versions: dict[str, str | None]
    missing: list[str]
    modules: dict[str, ModuleFound | None]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What was done; `notes` are for the person."""

    action: Literal["installed", "removed", "nothing"]
    python: str
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def look(python: Path, *, try_import: bool = True) -> Environment:
    """Ask the target's python what it holds; `try_import` also imports the modules that are there.

    Raises:
        MambaopsError: it could not be run, or is older than 3.8.
    """
    script = paths.payload_file("standins", "look.py")
    options = [] if try_import else ["--no-import"]
    # a look leaves nothing in the environment, no compiled modules either
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = process.run([python, script, *options], env=env, timeout=_LOOK_SECONDS)
    try:
        return msgspec.json.decode(done.stdout, type=Environment)
    except msgspec.MsgspecError as error:
        raise MambaopsError(
            f"`{python}` did not say what it holds ({error}), but: {done.stdout[:200] or 'nothing'}",
            hint=f"is it a Python interpreter? try `{done.command}`",
        ) from error


def install(python: Path) -> Outcome:
    """Install the stand-ins into `python`'s environment.

    Raises:
        MachineError: the environment has no torch.
        MambaopsError: a real kernel module is there, working or broken; nothing was touched.
        StepDidNotTake: installed, but the modules do not import.
    """
    before = look(python)
    _refuse_real(before, python)
    if before.versions.get("torch") is None:
        raise MachineError(
            f"{python} has no torch, and the stand-ins are written in it",
            hint="install torch into that environment first",
        )
    purelib = Path(before.purelib)
    with _locked(purelib):
        distribution.delete(purelib)
        files = distribution.write(purelib)
    _check(python, look(python))
    return Outcome(
        action="installed",
        python=str(python),
        files=tuple(files),
        notes=tuple(_notes(before, python)),
    )


def remove(python: Path) -> Outcome:
    """Take the stand-ins out again; a real module is never touched."""
    purelib = Path(look(python, try_import=False).purelib)
    with _locked(purelib):
        files = distribution.delete(purelib)
    return Outcome(action="removed" if files else "nothing", python=str(python), files=tuple(files))


def _refuse_real(found: Environment, python: Path) -> None:
    real = [
        f"{module.file} ({module.error or 'it imports'})"
        for module in found.modules.values()
        if module is not None and not module.standin
    ]
    if real:
        raise MambaopsError(
            "real kernel modules are installed, stand-ins must not hide them:\n  "
            + "\n  ".join(real),
            hint=f"if they are of no use: `{shlex.quote(str(python))} -m pip uninstall mamba-ssm causal-conv1d`, "
            "then again; `mambaops diagnose` explains their errors",
        )


def _locked(purelib: Path) -> BaseFileLock:
    from filelock import FileLock

    folder = paths.cache_dir() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(str(purelib).encode()).hexdigest()[:16]
    return FileLock(folder / f"fallback-{name}.lock")


def _check(python: Path, after: Environment) -> None:
    for name, module in after.modules.items():
        if module is None or not module.standin or module.error:
            found = "it is not found" if module is None else module.error or module.file
            raise StepDidNotTake(
                f"{name} was put into {after.purelib}, but {python} does not import it: {found}"
            )


def _notes(found: Environment, python: Path) -> list[str]:
    """What mamba_ssm needs besides, said now instead of at its import."""
    notes = []
    pip = f"{shlex.quote(str(python))} -m pip install"
    if found.versions.get("mamba-ssm") is None:
        notes.append(
            "mamba-ssm itself is not installed; its Python part alone: `MAMBA_SKIP_CUDA_BUILD=TRUE "
            f"MAMBA_FORCE_BUILD=TRUE {pip} --no-deps --no-build-isolation mamba-ssm`"
        )
    if found.versions.get("causal-conv1d") is None:
        notes.append(
            "causal-conv1d itself is not installed (mamba_ssm then convolves with torch); its Python "
            "part alone: `CAUSAL_CONV1D_SKIP_CUDA_BUILD=TRUE CAUSAL_CONV1D_FORCE_BUILD=TRUE "
            f"{pip} --no-deps --no-build-isolation causal-conv1d`"
        )
    notes += [
        f"{name} is missing and mamba_ssm imports it: `{pip} {name}`" for name in found.missing
    ]
    return notes
