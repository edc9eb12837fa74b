"""When kernels that were compiled on first use do not pass on this GPU: remember it, and offer the next strategy."""

from __future__ import annotations

from collections.abc import Callable

from mambaops.decide.packages import served, strategies
from mambaops.run.runner import Run
from mambaops.state.evidence import read_notes, write_notes
from mambaops.state.observe import refusal_key

Say = Callable[[str], None]
Ask = Callable[[str], bool]
REASON = "they did not pass `verify` on this very GPU and driver"


def without_runtime(run: Run, ask: Ask, say: Say) -> bool:
    """Whether the run is to be made once more without the strategy `runtime`, which failed at `verify`."""
    failed = [one.step for one in run.done if one.outcome == "failed"]
    if failed != ["verify"]:
        return False
    case = run.case()
    names = served(case)
    if not names or not case.facts.gpus:
        return False
    notes = read_notes(run.where.notes)
    refused = {"for": refusal_key(case), "strategies": {"runtime": REASON}}
    write_notes(run.where.notes, {**notes, "refused": refused})
    later = [one for one in strategies(case) if one != "runtime"]
    say(
        f"the kernels of {' and '.join(names)} that NVRTC compiled do not pass here; the plan goes on "
        f"without them: {', '.join(later) or 'no strategy is left'}"
    )
    return bool(later) and ask("compiling from source may take an hour; go on")
