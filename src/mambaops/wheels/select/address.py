"""The address of a wheel: from its file name alone, or as the one that fits a machine best."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mambaops.core.errors import MachineError, UsageError

if TYPE_CHECKING:
    from mambaops.facts.model import Facts


def address_of(name: str) -> str:
    """Where upstream publishes the wheel of this name, if it does.

    Raises:
        UsageError: no name, no wheel's name, or a wheel that is not upstream's.
    """
    from mambaops.knowledge.packages import published, release_file
    from mambaops.wheels.names import parse_wheel_name
    from mambaops.wheels.sources.planned import tag_of

    if not name:
        raise UsageError(
            "nothing to fetch: neither `--url` nor `--name` is given",
            hint=f"`--package {published()[0]}` fetches the one that fits this machine best",
        )
    parsed = parse_wheel_name(name)
    if parsed.build.scheme not in ("upstream", "ngc"):
        raise UsageError(
            f"`{name}` is not named like upstream's release files (+cu…torch…cxx11abi…)",
            hint="give its address: `--url`",
        )
    tag = tag_of(parsed.package, name) or parsed.version
    try:
        return release_file(parsed.package, tag, name)
    except KeyError as error:
        raise UsageError(f"no releases of `{parsed.package}` are known", hint="`--url`") from error


def chosen_address(
    package: str, facts: Facts, *, version: str = "", say: Callable[[str], None]
) -> str:
    """Where the file lies that fits a machine best; Astral's index is read, for its plan names no files.

    Raises:
        UsageError: an unknown package or a version that is none.
        MachineError: nothing fits.
    """
    from mambaops.wheels.select.confirm import select_confirmed
    from mambaops.wheels.select.selection import Wanted
    from mambaops.wheels.sources.listing import list_candidates, usual_sources

    read = usual_sources(facts, online=True)
    offered = list_candidates(package, facts, read, say=say, plan_instead=False)
    wanted = Wanted(version=version or None)
    selection = select_confirmed(package, facts, offered, wanted, say=say)
    if selection.chosen is None:
        nearest = f": {selection.nearest[0].reason}" if selection.nearest else ""
        raise MachineError(
            f"no prebuilt wheel of {package} fits{nearest}",
            hint=f"`mambaops select-wheel --package {package}` shows the nearest misses; "
            "`mambaops build-mamba` compiles one",
        )
    say(f"{selection.chosen.name}: {selection.chosen.reason}")
    return selection.chosen.url
