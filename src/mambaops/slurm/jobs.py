"""Jobs as `scontrol show job -o` tells of them, and what their states mean. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

WAITS = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT")
RUNS = ("RUNNING", "COMPLETING", "SUSPENDED", "SIGNALING", "STAGE_OUT", "STOPPED")


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One task of an array. `reason` says what it waits for, or why it ended; "" where nothing does.

    `restarts`: how often Slurm queued it again.
    """

    number: int
    job: str
    state: str
    reason: str
    restarts: int
    node: str

    @property
    def is_over(self) -> bool:
        """Also where Slurm could not start it and holds it: it does not go on by itself."""
        return self.state not in (*WAITS, *RUNS) or self.reason.endswith("requeued_held")

    def told(self) -> str:
        """For people: "RUNNING on n1", "PENDING: Resources", "RUNNING on n1, queued again once"."""
        where = f" on {self.node}" if self.node and self.state in RUNS else ""
        why = f": {self.reason}" if self.reason and not where else ""
        times = {0: "", 1: ", queued again once"}.get(
            self.restarts, f", queued again {self.restarts} times"
        )
        return self.state + where + why + times


def parse(text: str) -> dict[int, Task]:
    """The tasks of one array by number; those that still wait stand on one line together."""
    found = [task for line in text.splitlines() for task in _tasks(line)]
    return {task.number: task for task in found}


def _tasks(line: str) -> Iterator[Task]:
    fields = dict(re.findall(r"(\w+)=(\S*)", line))
    if "JobState" not in fields:
        return
    nodes = fields.get("NodeList", "")
    for number in numbers(fields.get("ArrayTaskId", "0")):
        yield Task(
            number=number,
            job=fields["JobId"],
            state=fields["JobState"],
            reason="" if fields.get("Reason") == "None" else fields.get("Reason", ""),
            restarts=int(fields.get("Restarts", "0")),
            node="" if nodes == "(null)" else nodes,
        )


def numbers(text: str) -> list[int]:
    """ "0-2,5%1" -> 0, 1, 2, 5."""
    found: list[int] = []
    for one in text.partition("%")[0].split(","):
        first, _, last = one.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found
