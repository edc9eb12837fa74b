"""Put wheel files into an environment, as they are, and look whether they are there afterwards.

Without their dependencies (`--no-deps`: pip would replace torch), always anew (`--force-reinstall`: a wheel of
the same version may be another build), never into the user's home, under their whole name. uv does it;
where uv cannot, pip does, and that is said.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packaging.version import Version

from mambaops.core import interpreters, process
from mambaops.core.errors import (
    CommandFailed,
    MachineError,
    MambaopsError,
    StepDidNotTake,
)
from mambaops.install.installers import (
    Installed,
    TargetEnvironment,
    installer_environment,
    pip_command,
    read_environment,
    uv_command,
)
from mambaops.install.wheel_file import WheelFile, read_wheel
from mambaops.store.entries import stored
from mambaops.wheels.tags import target_tags

if TYPE_CHECKING:
    from mambaops.facts.model import Facts

Say = Callable[[str], None]
Installer = Literal["uv", "pip"]


@dataclass(frozen=True, kw_only=True, slots=True)
class InstalledWheel:
    """What is in the environment now, and where."""

    wheel: str
    name: str
    version: str
    location: str
    installer: Installer


def install_wheels(
    files: Sequence[Path],
    python: Path,
    *,
    facts: Facts | None = None,
    inspect: bool = True,
    force: bool = False,
    say: Say = lambda text: None,
) -> list[InstalledWheel]:
    """Install wheel files into the environment of an interpreter.

    Args:
        facts: of the machine that it must load on; with `inspect`, each wheel's inside is held against them.
        inspect: read the compiled modules inside before installing.
        force: install even what will not load, saying so.

    Raises:
        UsageError: no wheel, no interpreter.
        MachineError: a wheel for another Python, system or CPU, or one that will not load here.
        StepDidNotTake: the installer said yes, but the environment does not hold it.
    """
    python = interpreters.named(python)
    wheels = [read_wheel(path) for path in files]
    takes = _what_it_takes(python, facts)
    for wheel in wheels:
        reasons = [*_tag_reasons(wheel, takes), *(_inspect(wheel, facts) if inspect else [])]
        if reasons and not force:
            raise MachineError(
                f"`{wheel.path.name}` is not for {python}: {'; '.join(reasons)}",
                hint="`mambaops select-wheel` finds one that is; `--force` installs it all the same",
            )
        for reason in reasons:
            say(f"{wheel.path.name}: {reason}; installed all the same (--force)")
    installer = _run_installer(wheels, python, say)
    return _look(wheels, python, installer, say)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Takes:
    """What an interpreter takes: the wheels of its own Python, system, CPU and glibc."""

    system: str
    version: str
    abi: str
    machine: str
    glibc: str | None


def _what_it_takes(python: Path, facts: Facts | None) -> _Takes:
    """From the facts where they are this interpreter's own (that saves a process), else by asking it."""
    if facts is not None and Path(facts.python.executable) == python:
        return _Takes(
            system=facts.host.system.lower(),
            version=facts.python.version,
            abi=facts.python.abi_tag,
            machine=facts.host.machine,
            glibc=facts.host.glibc,
        )
    asked = read_environment(python, "pip")
    return _Takes(
        system=asked.markers["platform_system"].lower(),
        version=asked.version,
        abi=asked.abi,
        machine=asked.markers["platform_machine"],
        glibc=asked.glibc,
    )


def _tag_reasons(wheel: WheelFile, takes: _Takes) -> list[str]:
    if takes.system != "linux":
        return []
    taken = target_tags(
        python=takes.version, machine=takes.machine, glibc=takes.glibc, abi=takes.abi
    )
    if wheel.tags.intersection(taken):
        return []
    named = ", ".join(sorted(str(tag) for tag in wheel.tags))
    libc = f"glibc {takes.glibc}" if takes.glibc else "no glibc"
    return [f"it is for {named}; this is CPython {takes.version}, {takes.machine}, {libc}"]


def _inspect(wheel: WheelFile, facts: Facts | None) -> list[str]:
    """Why it would not load on the machine of these facts; nothing without facts or compiled code."""
    if facts is None:
        return []
    if _stored_for(wheel.path, facts):
        return []
    from mambaops.wheels.inspect.compatibility import check_compatibility
    from mambaops.wheels.inspect.contents import inspect_wheel

    verdict = check_compatibility(inspect_wheel(wheel.path), facts)
    if verdict.loads:
        return []
    command = f"\n  `mambaops repair-wheel {shlex.quote(str(wheel.path))}`"
    return [verdict.reason + (command if verdict.repairable else "")]


def _stored_for(path: Path, facts: Facts) -> bool:
    """Is it a wheel of the store whose needs were read before, and which this system meets?

    Its key, and so its name, say Python, torch, CUDA and architectures; only the system's libraries are left.
    """
    entry = stored(path)
    if entry is None or entry.key is None or facts.torch is None:
        return False
    same_torch = entry.key.torch == facts.torch.version
    libstdcxx = facts.host.libstdcxx.glibcxx if facts.host.libstdcxx else None
    return (
        same_torch
        and _reaches(facts.host.glibc, entry.glibc)
        and _reaches(libstdcxx, entry.glibcxx)
    )


def _reaches(have: str | None, need: str | None) -> bool:
    return need is None or (have is not None and Version(have) >= Version(need))


def _run_installer(wheels: Sequence[WheelFile], python: Path, say: Say) -> Installer:
    files = [str(wheel.path) for wheel in wheels]
    environment, failures = installer_environment(), []
    if uv := uv_command():
        argv = [*uv, "pip", "install", "--python", str(python), "--no-deps", "--reinstall"]
        try:
            process.run([*argv, "--no-index", "--offline", *files], env=environment)
            return "uv"
        except CommandFailed as error:
            failures.append(error.message)
            say(f"uv could not ({error.message.splitlines()[-1].strip()}); trying pip")
    if pip := pip_command(python):
        argv = [*pip, "install", "--no-deps", "--force-reinstall", "--no-index"]
        try:
            process.run([*argv, *files], env=environment)
            return "pip"
        except CommandFailed as error:
            failures.append(error.message)
    raise MambaopsError(
        "neither uv nor pip could install "
        + ", ".join(wheel.path.name for wheel in wheels)
        + "".join(f"\n{failure}" for failure in failures),
        hint="" if failures else "there is neither uv nor pip: `python -m ensurepip` brings pip",
    )


def _look(
    wheels: Sequence[WheelFile], python: Path, installer: Installer, say: Say
) -> list[InstalledWheel]:
    after = read_environment(python, *(wheel.name for wheel in wheels))
    return [_look_for(wheel, after, installer, say) for wheel in wheels]


def _look_for(
    wheel: WheelFile, after: TargetEnvironment, installer: Installer, say: Say
) -> InstalledWheel:
    found = after.installed.get(wheel.name)
    problem = _problem(wheel, found, after)
    if problem or found is None:
        raise StepDidNotTake(
            f"{installer} ended well, but {problem}",
            hint=f"look at `{after.executable} -m pip show -f {wheel.name}` and at {installer}'s settings",
        )
    seen = after.visible.get(wheel.name)
    if seen is not None and seen.location != found.location:
        say(
            f"warning: {wheel.name} {seen.version} in {seen.location} stands before it: `import` takes that one. "
            "Remove it, or set PYTHONNOUSERSITE=1 and clear PYTHONPATH"
        )
    return InstalledWheel(
        wheel=wheel.path.name,
        name=wheel.name,
        version=found.version,
        location=found.location,
        installer=installer,
    )


def _problem(
    wheel: WheelFile, found: Installed | None, environment: TargetEnvironment
) -> str | None:
    """What is wrong with what the environment now holds; None: nothing."""
    if found is None:
        return f"{wheel.name} is not in {environment.prefix}"
    if Version(found.version) not in (Version(wheel.version), Version(wheel.named_version)):
        return f"{wheel.name} is {found.version} in {environment.prefix}, not {wheel.version}"
    if not Path(found.location).is_relative_to(environment.prefix):
        return f"{wheel.name} lies in {found.location}, outside {environment.prefix}"
    if found.missing:
        return f"{len(found.missing)} files of {wheel.name} are missing, e.g. {found.missing[0]}"
    return None
