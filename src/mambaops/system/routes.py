"""Routes to nvcc besides the package index: apt, deb (local), conda, runfile. Pure: facts in, routes out.

None of them installs a driver: `cuda-toolkit-X-Y` instead of `cuda`, and a runfile with `--toolkit` alone.
A route that this machine or its user may not take is there too, blocked, with the commands to run.
"""

from __future__ import annotations

from mambaops.facts.model import Facts
from mambaops.knowledge import cuda
from mambaops.knowledge.tables import minor_of, version_key
from mambaops.system.route import Route, blocked, script
from mambaops.system.routes_apt import apt_routes
from mambaops.system.routes_conda import conda_routes
from mambaops.system.routes_runfile import runfile_routes


def toolkit_routes(facts: Facts, cuda: str, *, sudo: bool, folder: str = "") -> list[Route]:
    """Every route to toolkit `cuda` ("12.8"), those that can be taken first, the best first of all.

    Args:
        sudo: the person allowed root commands.
        folder: where a toolkit without root goes (default: `.mambaops/cuda-X.Y` here).
    """
    wanted = minor_of(cuda)
    folder = folder or f".mambaops/cuda-{wanted}"
    if facts.host.system != "Linux" or version_key(wanted) < (11, 0):
        return []
    routes = [
        *apt_routes(facts, wanted, folder),
        *conda_routes(facts, wanted, folder),
        *runfile_routes(facts, wanted, folder),
    ]
    judged = [_with_permission(facts, route, sudo=sudo) for route in routes]
    return sorted(judged, key=lambda route: route.blocked is not None)  # stable: order above stays


def _with_permission(facts: Facts, route: Route, *, sudo: bool) -> Route:
    if route.blocked is not None or not route.needs_root:
        return route
    if sudo and (facts.host.sudo or facts.host.root):
        return route
    if facts.host.root:
        how = "run with --sudo, or yourself:\n" + script(route, facts)
        return blocked(route, "it changes the system, and --sudo was not given", how)
    why = "root is needed" + ("" if facts.host.sudo else ", and there is no sudo")
    how = "run with --sudo, or yourself:\n" if facts.host.sudo else "as root:\n"
    return blocked(route, why, how + script(route, facts))


def floor_note(facts: Facts, wanted: str) -> str:
    """What the driver says to that toolkit: "" where it fits or there is none to ask."""
    if facts.driver.cuda is None or cuda.driver_runs(facts.driver.cuda, wanted):
        return ""
    return (
        f"the driver runs up to CUDA {facts.driver.cuda}: code of toolkit {wanted} compiles here "
        f"but needs driver {cuda.minor_compat_floor(wanted)} to run"
    )
