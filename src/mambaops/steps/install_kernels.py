"""The kernels without nvcc: `mambaops-kernels`, and the Python part of the packages that it serves.

Upstream's kernel files are fetched by hash and go into one wheel with the code that compiles them by torch's own
NVRTC: on first use where the GPU is at hand, beforehand for the architectures that are asked for elsewhere.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mambaops.decide.case import Case
from mambaops.decide.packages import (
    KERNELS,
    by_nvrtc,
    has_kernels,
    has_python_part,
    served,
    strategies,
)
from mambaops.decide.runtime import (
    own_sources,
    packed,
    refusal,
    stored_pack,
    wanted_kernels,
    wanted_python_part,
)
from mambaops.decide.verdict import Verdict, done, needed
from mambaops.steps.step import Step

if TYPE_CHECKING:
    from mambaops.profiles.model import PackageSpec
    from mambaops.runtime.kernel_files import KernelSource
    from mambaops.steps.context import Context


def assess(case: Case) -> Verdict:
    """The wanted kernels and the Python parts of their packages are in the target environment."""
    names = served(case)
    if not names:
        return done(f"not used: {refusal(case) or 'compiled packages are there, or come first'}")
    lacking = [name for name in names if not has_python_part(case, name)]
    if not lacking and has_kernels(case):
        return done(f"{KERNELS} {wanted_kernels(case)}")
    ahead, pack = packed(case), stored_pack(case)
    if pack:
        return needed(f"kernels of {' and '.join(names)}: the stored {Path(pack.path).name}")
    told = f"compiled now for {', '.join(ahead)}" if ahead else "compiled when they are first used"
    return needed(f"kernels of {' and '.join(names)} by torch's NVRTC, {told}; no nvcc, no g++")


def wanted(case: Case) -> bool:
    """Where kernels are wanted and this strategy is in the list."""
    return (
        case.choice.kernels
        and "runtime" in strategies(case)
        and any(by_nvrtc(case, name) for name in case.packages)
    )


def act(context: Context, case: Case) -> None:
    """Fetch the sources, make the wheels, install them.

    Raises:
        UnknownShape: sources whose launch rules are not known.
        MambaopsError: sources or headers that cannot be fetched, or kernels that do not compile.
    """
    from mambaops.fallback.install import remove
    from mambaops.install.wheels import install_wheels

    wheels = [_python_part(context, case, name) for name in served(case)]
    wheels.append(_kernels(context, case))
    python = context.where.python
    if remove(python).action == "removed":
        context.say("mambaops-fallback is removed: the kernels take its place")
    for one in install_wheels(wheels, python, facts=case.target, inspect=False, say=context.say):
        context.say(f"{one.name} {one.version} in {one.location} (by {one.installer}, --no-deps)")


def _python_part(context: Context, case: Case, name: str) -> Path:
    from mambaops.runtime.python_part import write_python_part
    from mambaops.runtime.releases import python_sources

    spec, given = case.packages[name], case.flags.source.get(name, "")
    tree = python_sources(name, spec, _sdists(context), given=given)
    folder = context.where.build / "kernels"
    return write_python_part(case.described(name), wanted_python_part(case, name), tree, folder)


def _kernels(context: Context, case: Case) -> Path:
    from mambaops.runtime import nvidia_wheels
    from mambaops.runtime.identity import asked_of
    from mambaops.runtime.pack import compile_pack
    from mambaops.runtime.selection import Selection
    from mambaops.runtime.wheel import files_of, write_wheel
    from mambaops.store.entries import stored
    from mambaops.store.store import Store

    pack = stored_pack(case)
    if pack and stored(Path(pack.path)):
        context.say(f"{Path(pack.path).name}, from the store")
        return Path(pack.path)
    cuda, python, log = case.choice.torch_cuda or "", context.where.python, _log(context)
    files = files_of(
        _sources(context, case), nvidia_wheels.headers(cuda, nvidia_wheels.pip(python, log))
    )
    archs = packed(case)
    folder, local = context.where.build / "kernels", wanted_kernels(case).partition("+")[2]
    if not archs:
        return write_wheel(files, folder, local=local)
    asked, usual = asked_of(own_sources(case), cuda, archs), Selection()
    files |= compile_pack(
        files, asked, usual, python=python, jobs=context.jobs, log=log, say=context.say
    )
    return Store(say=context.say).add(write_wheel(files, folder, local=local), asked.key)


def _sources(context: Context, case: Case) -> tuple[KernelSource, ...]:
    from mambaops.runtime.identity import kernel_packages
    from mambaops.runtime.releases import kernel_source

    given, sdists = case.flags.source, _sdists(context)
    return tuple(
        kernel_source(name, sdists, given=given.get(name, ""))
        for name in kernel_packages(own_sources(case))
    )


def _sdists(context: Context) -> Callable[[str, PackageSpec, Path], Path]:
    """pip of the target environment: what it asks of setup.py needs its torch."""
    from mambaops.compile.sources import download_sdist

    return functools.partial(download_sdist, python=context.where.python, log=_log(context))


def _log(context: Context) -> Path:
    return context.run.log(STEP.id)


def undo(context: Context, case: Case) -> None:
    """Uninstall what the step installed; what is compiled or the user's own stays."""
    names = [name for name in served(case) if has_python_part(case, name)]
    context.pip(STEP.id, ["uninstall", "--yes", KERNELS, *names])


STEP = Step(
    id="install-kernels",
    help="Install kernels that torch's NVRTC compiles, and the Python part of their packages: no nvcc, no g++.",
    assess=assess,
    act=act,
    undo=undo,
    stands_on=("install-torch",),
    after=("find-wheels",),
    wanted=wanted,
)
