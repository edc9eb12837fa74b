"""The call that is being answered, and texts whose commands repeat what counts of it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mambaops.core.commands import Call
    from mambaops.diagnose.explain import Explanation
    from mambaops.facts.model import Facts
    from mambaops.plan import Plan
    from mambaops.report.page.evidence import Evidence

_flags: dict[str, Any] = {}


def remember(values: Mapping[str, Any]) -> None:
    """Keep the flags of the task that begins."""
    from mambaops.core.commands import CARRIED

    _flags.clear()
    _flags.update({name: value for name, value in values.items() if name in CARRIED})


def current(gpu: str = "") -> Call:
    """The call that is being answered; `gpu` is the compute capability of the machine in question."""
    from mambaops.core.commands import Call
    from mambaops.core.invocation import program

    return Call(program=program(), flags=dict(_flags), gpu=gpu, options=options_of)


def pasted(text: str, gpu: str = "") -> str:
    """A text whose commands work when they are pasted."""
    if "`" not in text:
        return text
    from mambaops.core.commands import pasteable

    return pasteable(text, current(gpu))


def pasted_fields(record: Any, *names: str, gpu: str = "") -> Any:
    """A msgspec struct whose named fields (texts, or lists of texts) were `pasted`."""
    import msgspec

    values = {name: getattr(record, name) for name in names}
    new = {
        name: [pasted(one, gpu) for one in value] if isinstance(value, list) else pasted(value, gpu)
        for name, value in values.items()
    }
    return msgspec.structs.replace(record, **new)


def pasted_command(command: str) -> str:
    """A whole command without backticks, likewise."""
    return pasted(f"`{command}`").strip("`")


def pasted_plan(plan: Plan, gpu: str = "") -> Plan:
    """A plan whose hints and commands work when they are pasted."""
    import msgspec

    steps = [pasted_fields(step, "reason", "hint", gpu=gpu) for step in plan.steps]
    steps = [msgspec.structs.replace(one, command=pasted_command(one.command)) for one in steps]
    return msgspec.structs.replace(plan, steps=steps)


def pasted_explanation(found: Explanation, gpu: str = "") -> Explanation:
    """An explanation of a log whose remedies work when they are pasted; what it quotes stays."""
    import msgspec

    diagnosis = found.diagnosis
    texts = ("cause", "fix", "fixes", "does_not_help")
    findings = [pasted_fields(one, *texts, gpu=gpu) for one in diagnosis.findings]
    diagnosis = msgspec.structs.replace(diagnosis, findings=findings)
    return msgspec.structs.replace(found, diagnosis=diagnosis)


def pasted_for(run: Evidence) -> Callable[[str], str]:
    """What makes commands pasteable that speak of a run: with the flags that it was called with."""
    from mambaops.core.commands import CARRIED, pasteable

    flags = dict(run.flags)
    if not flags:
        choice = run.plan.get("choice") or {}
        asked = "asked for" in str((choice.get("reasons") or {}).get("arch"))
        flags = {
            "profile": run.plan.get("profile"),
            "arch": ";".join(choice["archs"]) if asked else "",
        }
    carried = {name: value for name, value in flags.items() if name in CARRIED}
    call = current()._replace(flags=carried)
    return lambda text: pasteable(text, call)


def with_program(script: str) -> str:
    """A shell script in which lines that begin with `mambaops` begin with how this person starts it."""
    begin = current().program
    return re.sub(r"(?m)^((?:# )?)mambaops ", lambda line: f"{line[1]}{begin} ", pasted(script))


def gpu_of(facts: Facts | None) -> str:
    """What `--arch` takes for the GPUs of a machine; "" where it has none."""
    found = (
        [gpu.compute_capability for gpu in facts.gpus if gpu.compute_capability] if facts else []
    )
    return ";".join(sorted(set(found), key=float))


@functools.cache
def options_of(name: str) -> Collection[str] | None:
    """The flags that a command takes, without dashes; None where there is no such command."""
    from mambaops.cli.find import by_name

    found = by_name(name)
    return {one.name for one in found.options} if found else None
