"""`doctor --fix`: what is safe, in the target environment, the build tree and our own caches.

Never drivers, `/etc`, other people's processes; what needs root runs only with `--sudo`.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

from mambaops.core import interpreters, process
from mambaops.core.errors import MambaopsError
from mambaops.core.files import replace_link
from mambaops.doctor import live
from mambaops.doctor.model import Check
from mambaops.doctor.packages import BUILD_TOOLS
from mambaops.facts.model import Facts
from mambaops.knowledge.torch_builds import torch_row

Tell = Callable[[str], None]
APT = "apt:"


def repair(checks: list[Check], facts: Facts, folder: Path, *, sudo: bool, tell: Tell) -> int:
    """Carry out what is safe, print what needs a person; returns how many repairs were made.

    A repair that fails is told and does not stop the others.
    """
    made = 0
    for name in dict.fromkeys(check.repair for check in checks if check.repair):
        if name.startswith(APT) and not sudo:
            continue
        try:
            done = _one(name, facts, folder, sudo, tell)
        except MambaopsError as error:
            tell(
                f"not repaired ({name}): {error.message}"
                + (f"\n  {error.hint}" if error.hint else "")
            )
            continue
        made += done
    _for_a_person(checks, sudo, tell)
    return made


def _for_a_person(checks: list[Check], sudo: bool, tell: Tell) -> None:
    left = [
        check
        for check in checks
        if check.state in ("failed", "warning")
        and check.remedy
        and (not check.repair or (check.repair.startswith(APT) and not sudo))
    ]
    if left:
        tell("left for you:")
    for check in left:
        tell(f"  {check.what}\n    -> {check.remedy}")


def _one(name: str, facts: Facts, folder: Path, sudo: bool, tell: Tell) -> bool:
    if name.startswith(APT):
        return _apt(name.removeprefix(APT).split(), sudo, tell)
    actions: dict[str, Callable[[], bool]] = {
        "build-tools": lambda: _pip(facts, [*_bounded_tools(facts), "ninja"], tell),
        "triton": lambda: _pip(facts, ["--no-deps", _triton(facts)], tell),
        "strip-crlf": lambda: _strip(folder, tell),
        "stale-build": lambda: _remove(live.stale_builds(facts, folder), tell),
        "purge-cache": lambda: _purge(tell),
        "libcuda-link": lambda: _link(facts, tell),
    }
    return actions[name]()


def _bounded_tools(facts: Facts) -> list[str]:
    """packaging, setuptools and wheel, not newer than this torch's build code survives."""
    row = torch_row(facts.torch.version) if facts.torch else None
    below = row.setuptools_below if row else ""
    return [f"{name}<{below}" if below and name == "setuptools" else name for name in BUILD_TOOLS]


def _triton(facts: Facts) -> str:
    return f"triton=={facts.torch.triton_pin}" if facts.torch else "triton"


def _pip(facts: Facts, requirements: list[str], tell: Tell) -> bool:
    python = facts.python
    if whose := interpreters.shared_by(Path(python.executable)):
        raise MambaopsError(
            f"{python.executable} is {whose}: nothing is installed there",
            hint="`mambaops create-venv` makes an environment, and `mambaops doctor --profile local --fix` repairs that one",
        )
    argv: list[str | Path] = [
        python.executable,
        "-m",
        "pip",
        "install",
        "--no-input",
        *requirements,
    ]
    if not process.run([python.executable, "-m", "pip", "--version"], check=False, timeout=30).ok:
        from uv import find_uv_bin

        argv = [find_uv_bin(), "pip", "install", "--python", python.executable, *requirements]
    tell(f"$ {' '.join(map(str, argv))}")
    process.run(argv, env={**os.environ, "LC_ALL": "C"}, timeout=600)
    return True


def _strip(folder: Path, tell: Tell) -> bool:
    from mambaops.patching.crlf import strip_crlf

    reports = strip_crlf(live.crlf_scripts(folder))
    for report in reports:
        tell(f"{report.path}: {report.outcome} ({report.lines} lines)")
    return any(report.outcome == "stripped" for report in reports)


def _remove(folders: list[Path], tell: Tell) -> bool:
    for folder in folders:
        for path in live.parts_of(folder):
            tell(f"removed {path}")
            shutil.rmtree(path)
        with contextlib.suppress(OSError):
            folder.rmdir()  # where nothing else was in it
    return bool(folders)


def _purge(tell: Tell) -> bool:
    from mambaops.patching.caches import purge

    tell(f"purged these packages' entries: {purge()}")
    return True


def _link(facts: Facts, tell: Tell) -> bool:
    """A folder of our own with the name that the linker asks for; the system stays as it is."""
    source = facts.driver.libcuda
    if source is None:
        raise MambaopsError("there is no libcuda.so.1 to link to", hint="a driver comes first")
    link = live.link_folder() / "libcuda.so"
    replace_link(link, Path(source))
    tell(
        f"{link} -> {source}\n  `export LIBRARY_PATH={shlex.quote(str(link.parent))}:$LIBRARY_PATH`"
    )
    return True


def _apt(names: list[str], sudo: bool, tell: Tell) -> bool:
    from mambaops.system.permission import run_all

    commands = [["apt-get", "update"], ["apt-get", "install", "-y", *names]]
    run_all(commands, needs_root=True, sudo=sudo, say=tell)
    return True
