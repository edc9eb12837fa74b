"""The steps as a table: for the terminal, and for the documentation."""

from __future__ import annotations

from collections.abc import Sequence

from mambaops.steps.step import Step

HEAD = "| step | what it does | stands on | `--undo` |\n|---|---|---|---|"


def steps_text(steps: Sequence[Step]) -> str:
    """One line per step, in the order in which they are done."""
    width = max(len(step.id) for step in steps)
    return "\n".join(f"{step.id:{width}}  {step.help}" for step in steps)


def steps_markdown(steps: Sequence[Step]) -> str:
    """The rows of `docs/procedures.md`."""
    return "\n".join([HEAD, *map(_row, steps)])


def _row(step: Step) -> str:
    stands_on = ", ".join(f"`{name}`" for name in step.stands_on) or "–"
    return f"| `{step.id}` | {step.help} | {stands_on} | {'yes' if step.undo else '–'} |"
