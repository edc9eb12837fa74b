"""Wheels of packages that are published as sources alone: built here where they hold no compiled code."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from packaging.utils import parse_wheel_filename

from mambaops.bundle.lock import LockedFile
from mambaops.core import interpreters, process
from mambaops.core.errors import MachineError, MambaopsError
from mambaops.download.fetch import fetch
from mambaops.download.progress import Progress
from mambaops.install.installers import installer_environment, pip_settings, uv_command

Say = Callable[[str], None]
EPOCH = "315532800"  # 1980-01-01, the first day that a zip file can tell: the same source gives the same bytes


def pure_wheels(
    locked: Iterable[LockedFile], folder: Path, *, progress: Progress, say: Say
) -> list[Path]:
    """A wheel of each source package among the files, in a folder that keeps them for the next run.

    Raises:
        MachineError: a package holds compiled code: its wheel is for this machine and not for the other one.
        MambaopsError: the source cannot be fetched, or its own build fails.
    """
    return [
        _built(file, folder / f"{file.package}-{file.version}", progress, say)
        for file in locked
        if file.kind == "pure"
    ]


def _built(file: LockedFile, folder: Path, progress: Progress, say: Say) -> Path:
    done = next(folder.glob("*-any.whl"), None)
    if done is not None:
        return done
    got = fetch(file.url, folder, sha256=file.sha256, name=file.name, progress=progress)
    say(f"{file.package} {file.version}: published as source alone, its wheel is built here")
    wheel = _build(got.path, folder / "building")
    if any(
        tag.platform != "any" or tag.abi != "none" for tag in parse_wheel_filename(wheel.name)[3]
    ):
        raise MachineError(
            f"{file.package} {file.version} holds compiled code and has no wheel: {wheel.name} is for this machine",
            hint="a wheel of it for the other machine, in a folder of the profile's `find_links`",
        )
    return wheel.replace(folder / wheel.name)


def _build(source: Path, folder: Path) -> Path:
    uv = uv_command()
    if uv is None:
        raise MambaopsError("a bundle needs uv to build a wheel", hint="`pip install uv`")
    shutil.rmtree(folder, ignore_errors=True)
    argv = [*uv, "build", "--wheel", str(source), "--out-dir", str(folder)]
    argv += ["--python", str(interpreters.ours()), *pip_settings(Path(sys.prefix)).uv_flags()]
    environment = installer_environment() | {"SOURCE_DATE_EPOCH": EPOCH}
    done = process.run(argv, env=environment, cwd=source.parent, check=False)
    wheel = next(folder.glob("*.whl"), None)
    if not done.ok or wheel is None:
        raise MambaopsError(
            f"{source.name} could not be built:\n{done.stderr.strip()[-2000:]}",
            hint="a wheel of it in a folder of the profile's `find_links` is taken instead",
        )
    return wheel
