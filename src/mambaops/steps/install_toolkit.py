"""nvcc for the build: wheels of the package index from CUDA 13 on, other routes where they are allowed."""

from __future__ import annotations

from pathlib import Path

from mambaops.compile import toolkit
from mambaops.core.errors import MachineError
from mambaops.decide.assess import Case
from mambaops.knowledge import cuda as cuda_tables
from mambaops.steps.context import Context

STEP = "install-toolkit"


def act(context: Context, case: Case) -> None:
    """Get a toolkit by the first route of the profile that is open.

    Raises:
        MambaopsError: the route failed. MachineError: none is open.
    """
    cuda = case.choice.toolkit
    row = cuda_tables.toolkit(cuda)
    log = context.run.log(STEP)
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
            log = context.run.log(STEP)
            home = obtain(route, cuda, sudo=case.flags.sudo, say=context.say, log=log)
            _point_at(context, home)
            return
    raise MachineError(f"no way to get nvcc {cuda} is open here")


def _point_at(context: Context, home: Path) -> None:
    """The environment's own CUDA_HOME, where the probe of the environment finds it."""
    link = context.where.cuda_home
    aside = link.with_name(link.name + ".part")
    aside.unlink(missing_ok=True)
    aside.symlink_to(home)
    aside.replace(link)
