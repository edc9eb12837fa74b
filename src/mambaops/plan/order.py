"""The order of steps, and what a step brings along that is run alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from graphlib import TopologicalSorter

from mambaops.decide.case import Case
from mambaops.steps.step import Instance, Step


def ordered(steps: Iterable[Step]) -> list[Step]:
    """Steps after everything that they stand on or come after; the same order every time.

    Raises:
        graphlib.CycleError: two steps wait for each other.
    """
    known = {step.id: step for step in steps}
    graph = {
        step.id: [name for name in (*step.stands_on, *step.after) if name in known]
        for step in known.values()
    }
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    found: list[Step] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        found += [known[name] for name in ready]
        sorter.done(*ready)
    return found


def instances(steps: Sequence[Step], case: Case) -> list[Instance]:
    """The steps that the plan of a case has, in order, one for each package where a step is per package."""
    return [one for step in ordered(steps) for one in step.instances(case)]


def with_foundations(names: Iterable[str], steps: Iterable[Step]) -> set[str]:
    """Ids (`verify`, `build-wheel:mamba-ssm`) with the ids of everything that they stand on."""
    known = {step.id: step for step in steps}
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            step = known.get(name.partition(":")[0])
            todo += step.stands_on if step else ()
    return found
