"""Select, and then make sure of the choice: a file that is here is looked into, a promised one asked for.

`wheels.select.selection` is pure and believes what candidates claim. Here the chosen one's claim is checked; if it
does not hold, the candidate is refused with what was found, and the next best is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec.structs import replace

from mambaops.core.errors import MambaopsError
from mambaops.facts.model import Facts
from mambaops.wheels.candidates import Candidate
from mambaops.wheels.inspect.compatibility import check_compatibility
from mambaops.wheels.inspect.contents import inspect_wheel
from mambaops.wheels.select.selection import NEWEST, Wanted, select
from mambaops.wheels.select.verdicts import Selection, Verdict
from mambaops.wheels.sources.listing import exists

Say = Callable[[str], None]


def select_confirmed(
    package: str,
    facts: Facts,
    candidates: Iterable[Candidate],
    wanted: Wanted = NEWEST,
    *,
    check: bool = False,
    say: Say = lambda text: None,
) -> Selection:
    """The best candidate whose claim holds.

    Args:
        check: ask the network whether a planned or listed file is really there.
    """
    offered = list(candidates)
    while True:
        selection = select(package, facts, offered, wanted)
        chosen = selection.chosen
        if chosen is None or not (problem := _problem(chosen, facts, check)):
            return selection
        say(f"{chosen.name}: {problem}; looking for the next best")
        bad = chosen.candidate
        offered = [replace(one, unusable=problem) if one is bad else one for one in offered]


def _problem(chosen: Verdict, facts: Facts, check: bool) -> str:
    candidate = chosen.candidate
    if candidate.status == "present":
        return _look_inside(chosen, facts)
    if check and candidate.url.endswith(".whl") and not exists(candidate.url):
        return "is not there, though it was planned (404)"
    return ""


def _look_inside(chosen: Verdict, facts: Facts) -> str:
    try:
        fit = check_compatibility(inspect_wheel(Path(chosen.candidate.url)), facts)
    except MambaopsError as error:
        return error.message
    if fit.loads and fit.runs is not False:
        return ""
    return "" if chosen.repair and fit.repairable else fit.reason
