"""Which prebuilt wheel fits, and why not the others."""

from __future__ import annotations

from collections.abc import Sequence

from mambaops.cli.call import pasted, pasted_command
from mambaops.cli.task import Context, emit, say, task


@task(
    name="select-wheel",
    group="wheels",
    examples=(
        "mambaops wheels choose mamba-ssm",
        "mambaops wheels choose mamba-ssm --facts there.json --all",
    ),
    operand="package",
    verb="wheels choose",
    iterable=["find_links"],
    help={
        "package": "which package: a name, or a package file",
        "version": "this version, or a condition such as '>=2.3,<2.4' (default: the newest that fits)",
        "facts": "facts of the machine it is for (default: those of this one)",
        "python": "interpreter of the environment (default: the active one)",
        "find-links": "folder of wheels, or index; may be given several times",
        "store": "root of the wheel store (default: the user's)",
        "allow-neighbour": "take a wheel for another torch minor that is known to work",
        "allow-conda": "take a conda package, which may replace torch",
        "partner": "version of the other package to match (default: the installed one; `any`: none)",
        "pair": "choose both packages together, of one generation",
        "check": "ask the network whether the chosen file is really there",
        "online": "read Astral's index itself instead of its plan",
        "all": "print every candidate with its reason",
    },
)
def select_wheel(
    c: Context,
    package: str = "",
    version: str = "",
    facts: str = "",
    python: str = "",
    find_links: Sequence[str] | None = None,  # None: any other default is no list to Invoke
    store: str = "",
    allow_neighbour: bool = False,
    allow_conda: bool = False,
    partner: str = "",
    pair: bool = False,
    check: bool = False,
    online: bool = False,
    all: bool = False,
    json: bool = False,
) -> int:
    """Choose a prebuilt wheel for a machine: every other one is refused with its reason.

    Exit 4 when nothing fits: then the nearest misses are shown, and what would have to change.
    """
    from pathlib import Path

    from mambaops.core.errors import UsageError
    from mambaops.facts.collect import facts_for
    from mambaops.knowledge.packages import package as package_named
    from mambaops.knowledge.packages import pairs, published
    from mambaops.report.wheels import pair_text, selection_text
    from mambaops.wheels.select.command import command_for, command_for_pair
    from mambaops.wheels.select.confirm import select_confirmed
    from mambaops.wheels.select.pair import pair_versions
    from mambaops.wheels.select.selection import INSTALLED, Wanted
    from mambaops.wheels.sources.listing import list_candidates, usual_sources

    if not package and not pair:
        raise UsageError("no package is named", hint=f"--package {' or '.join(published())}")
    machine = facts_for(facts, python)
    read = usual_sources(
        machine,
        places=find_links or (),
        store=Path(store) if store else None,
        online=online or check,
    )
    wanted = Wanted(
        version=version or None,
        allow_neighbour=allow_neighbour,
        allow_conda=allow_conda,
        partner={"": INSTALLED, "any": None}.get(partner, partner),
    )
    if pair:
        both = [one for name in pairs()[0] for one in list_candidates(name, machine, read, say=say)]
        found = pair_versions(machine, both, wanted)
        emit(
            {**found.as_json(), "command": pasted_command(command_for_pair(found))}
            if json
            else found,
            as_json=json,
            text=lambda result: "\n".join(
                [pasted_command(command_for_pair(result)), pasted(pair_text(result, machine))]
            ),
        )
        return 0 if found.first else 4
    package = package_named(package).name
    candidates = list_candidates(package, machine, read, say=say)
    selection = select_confirmed(package, machine, candidates, wanted, check=check, say=say)
    emit(
        {**selection.as_json(), "command": pasted_command(command_for(selection))}
        if json
        else selection,
        as_json=json,
        text=lambda result: "\n".join(
            [
                pasted_command(command_for(result)),
                pasted(selection_text(result, machine, everything=all)),
            ]
        ),
    )
    return 0 if selection.chosen else 4


@task(
    name="refresh-tables",
    group="wheels",
    examples=(
        "mambaops wheels refresh",
        "mambaops wheels refresh mamba-ssm --all",
    ),
    operand="package",
    verb="wheels refresh",
    help={
        "package": "which package (default: all that somebody publishes wheels of)",
        "all": "print every name that appeared or is missing",
    },
)
def refresh_tables(c: Context, package: str = "", all: bool = False, json: bool = False) -> None:
    """Hold the tables of promised wheels against their sources: what appeared, what is not there.

    Needs the network. What the sources list is kept with its date in the user's cache, and counts from then on.
    """
    from mambaops.knowledge.packages import package as package_named
    from mambaops.report.wheels import differences_text
    from mambaops.wheels.sources.refresh import refresh

    found = refresh([package_named(package).name] if package else (), say=say)
    emit(
        found,
        as_json=json,
        text=lambda rows: differences_text(rows, everything=all),
        rows="listings",
    )
