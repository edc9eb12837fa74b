"""Take a route to nvcc, then look whether it brought the compiler that was wanted."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from mambaops.core.errors import MachineError, StepDidNotTake, UsageError
from mambaops.core.process import run
from mambaops.knowledge.tables import minor_of
from mambaops.system.permission import run_all
from mambaops.system.route import Route


def chosen(routes: list[Route], route_id: str) -> Route:
    """The route of that id, or the first that can be taken.

    Raises:
        UsageError: no route of that id.
        MachineError: the route (or every route) is blocked; the hint says what to do.
    """
    if route_id:
        found = next((route for route in routes if route_id in (route.id, route.kind)), None)
        if found is None:
            known = ", ".join(route.id for route in routes) or "none"
            raise UsageError(f"no route `{route_id}` on this machine; there are: {known}")
    elif not routes:
        raise MachineError("no route to this toolkit is known for this machine")
    else:
        found = routes[0]
    if found.blocked is not None:
        raise MachineError(f"route {found.id}: {found.blocked}", hint=found.hint)
    return found


def obtain(
    route: Route, wanted: str, *, sudo: bool, say: Callable[[str], None], log: Path | None = None
) -> Path:
    """Run the route's commands; returns the toolkit's home.

    Raises:
        CommandFailed, MachineError: see `run_all`.
        StepDidNotTake: the commands went well, but no nvcc of that release lies where it should.
    """
    if installed(Path(route.home), wanted):
        say(f"nvcc {wanted} is already in {route.home}: nothing to do")
        return Path(route.home).absolute()
    say(f"route {route.id}: {route.reason}")
    run_all(route.commands, needs_root=route.needs_root, sudo=sudo, say=say, log=log)
    if not installed(Path(route.home), wanted):
        found = nvcc_release(Path(route.home)) or "no nvcc"
        raise StepDidNotTake(
            f"route {route.id} ended well, but {route.home}/bin holds {found}, wanted {wanted}"
        )
    return Path(route.home).absolute()


def is_begun(folder: Path) -> bool:
    """Is a toolkit there, or do the files of one that is on its way lie beside it?"""
    return (folder / "bin" / "nvcc").exists() or Path(f"{folder}-files").is_dir()


def installed(home: Path, wanted: str) -> bool:
    """Whether `home/bin/nvcc` runs and says that release."""
    return nvcc_release(home) == minor_of(wanted)


def nvcc_release(home: Path) -> str | None:
    """What `home/bin/nvcc -V` says, e.g. "12.8"; None where it is missing or does not run."""
    nvcc = home / "bin" / "nvcc"
    if not nvcc.is_file():
        return None
    return parse_nvcc(run([nvcc.absolute(), "-V"], check=False, timeout=20).stdout)


def parse_nvcc(text: str) -> str | None:
    """The release in the text of `nvcc -V`."""
    # e.g. "Cuda compilation tools, release 11.8, V11.8.89"
    found = re.search(r"release (\d+\.\d+)", text)
    return found.group(1) if found else None
