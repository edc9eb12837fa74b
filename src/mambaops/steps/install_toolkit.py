"""nvcc for the build: wheels of the package index from CUDA 13 on, other routes where they are allowed."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from mambaops.core.errors import MachineError
from mambaops.core.files import replace_link
from mambaops.decide.case import Case
from mambaops.decide.packages import compiles
from mambaops.decide.toolkit import (
    cannot_compile,
    compiler_floor,
    cxx_standard,
    fitting_toolkit,
    gcc_limit,
    getting_gxx,
    too_new,
)
from mambaops.decide.verdict import Verdict, blocked, done, needed
from mambaops.facts.model import Toolkit
from mambaops.knowledge import cuda as cuda_tables
from mambaops.knowledge.toolkit_wheels import toolkit_wheels
from mambaops.steps.step import Step

if TYPE_CHECKING:
    from mambaops.steps.context import Context


def assess(case: Case) -> Verdict:
    """An nvcc that makes code for the wanted architectures and that torch accepts."""
    choice = case.choice
    toolkit, refused = fitting_toolkit(case)
    if toolkit is not None:
        return _compiler_bound(case, toolkit)
    why = f"no nvcc fits (CUDA {choice.toolkit} wanted)" + (
        ": " + "; ".join(refused) if refused else ": none was found"
    )
    if unknown := cannot_compile(case):
        return blocked(
            f"{why}; CUDA {choice.toolkit} does not compile for {', '.join(unknown)}",
            "another architecture, or a torch of another CUDA: `--torch VERSION`",
        )
    row = cuda_tables.toolkit(choice.toolkit)
    if "wheels" in case.profile.toolkit.routes and row is not None and row.wheels_on_index:
        return needed(f"{why}; nvcc {choice.toolkit} comes as wheels of the package index")
    return _routes_besides_wheels(case, why)


def _routes_besides_wheels(case: Case, why: str) -> Verdict:
    from mambaops.system.routes import toolkit_routes

    wanted = case.profile.toolkit.routes
    routes = toolkit_routes(case.facts, case.choice.toolkit, sudo=case.flags.sudo)
    routes = [route for route in routes if route.kind in wanted]
    open_routes = [route for route in routes if route.blocked is None]
    if open_routes:
        return needed(f"{why}; route: {open_routes[0].reason}")
    reasons = "; ".join(route.blocked or "" for route in routes[:2])
    hint = next((route.hint for route in routes if route.hint), "")
    return blocked(f"{why}; {reasons}" if reasons else why, hint or _toolkit_hint(case))


def _toolkit_hint(case: Case) -> str:
    return (
        f"install CUDA {case.choice.toolkit}'s nvcc and name it: `export CUDA_HOME=/usr/local/cuda-"
        f"{case.choice.toolkit}`; with --sudo mambaops runs the package manager itself"
    )


def _compiler_bound(case: Case, toolkit: Toolkit) -> Verdict:
    found = too_new(case.facts, toolkit, compiler_floor(cxx_standard(case)))
    limit, source = gcc_limit(toolkit)
    if found is None or limit is None:
        return done(f"nvcc {toolkit.version} at {toolkit.nvcc}")
    return blocked(
        f"nvcc {toolkit.version} takes g++ up to {limit} ({source}), here is {found.version}",
        getting_gxx(limit),
    )


def act(context: Context, case: Case) -> None:
    """Get a toolkit by the first route of the profile that is open.

    Raises:
        MambaopsError: the route failed. MachineError: none is open.
    """
    from mambaops.compile import toolkit

    cuda = case.choice.toolkit
    row = cuda_tables.toolkit(cuda)
    log = context.run.log(STEP.id)
    if "wheels" in case.profile.toolkit.routes and row is not None and row.wheels_on_index:
        context.say(f"nvcc {cuda} from the package index's wheels")
        toolkit.install(context.where.python, cuda, context.where.cuda_home, log=log)
        return
    _other_route(context, case)


def _other_route(context: Context, case: Case) -> None:
    from mambaops.system.routes import toolkit_routes
    from mambaops.system.toolkit import obtain

    wanted, cuda = case.profile.toolkit.routes, case.choice.toolkit
    folder = str(context.where.root / "toolkits" / f"cuda-{cuda}")
    for route in toolkit_routes(case.facts, cuda, sudo=case.flags.sudo, folder=folder):
        if route.blocked is None and route.kind in wanted:
            log = context.run.log(STEP.id)
            home = obtain(route, cuda, sudo=case.flags.sudo, say=context.say, log=log)
            _point_at(context, home)
            return
    raise MachineError(f"no way to get nvcc {cuda} is open here")


def _point_at(context: Context, home: Path) -> None:
    """The environment's own CUDA_HOME, where the probe of the environment finds it."""
    link = context.where.cuda_home
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)  # the links into wheels of an earlier choice
    replace_link(link, home)


def script(case: Case) -> list[str]:
    cuda = case.choice.toolkit
    row = cuda_tables.toolkit(cuda)
    if not cuda or row is None or not row.wheels_on_index:
        return [
            f"# an nvcc {cuda} that the machine has, or one from NVIDIA's packages",
            f'export CUDA_HOME="${{CUDA_HOME:-/usr/local/cuda-{cuda}}}"',
            'export PATH="$CUDA_HOME/bin:$PATH"',
            "nvcc -V",
        ]
    wheels = " ".join(shlex.quote(one) for one in toolkit_wheels(cuda))
    major = cuda.split(".")[0]
    return [
        f'"$PY" -m pip install {wheels}',
        'SITE=$("$PY" -c \'import sysconfig; print(sysconfig.get_path("purelib"))\')',
        'export CUDA_HOME="$ENV/cuda-home"',
        'mkdir -p "$CUDA_HOME/lib64"',
        f'for part in bin include nvvm; do ln -sfn "$SITE/nvidia/cu{major}/$part" "$CUDA_HOME/$part"; done',
        f'ln -sf "$SITE/nvidia/cu{major}/lib/"* "$CUDA_HOME/lib64/"',
        f'ln -sf "$SITE/nvidia/cu{major}/lib/libcudart.so.{major}" "$CUDA_HOME/lib64/libcudart.so"',
        'export PATH="$CUDA_HOME/bin:$PATH"',
        "nvcc -V",
    ]


STEP = Step(
    id="install-toolkit",
    help="Get nvcc for the build, by the first route of the profile that is open.",
    assess=assess,
    act=act,
    script=script,
    stands_on=("check-compiler", "install-torch"),
    wanted=compiles,
    only_to_compile=True,
    changes_machine=True,
)
