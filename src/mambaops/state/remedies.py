"""Which remedies were tried on this machine, and whether they helped: a small file among our own."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Literal

import msgspec

from mambaops.core.files import write_text
from mambaops.core.paths import state_dir

KEPT = 200  # the newest; older ones tell of another machine by now

Result = Literal["helped", "did not help", "another failure came after it"]


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One remedy that was applied, and what came of it.

    Attributes:
        day: `2026-11-22`. rule: the failure's id in the catalogue. step: what failed, and was run again.
    """

    day: str
    rule: str
    remedy: str
    profile: str
    step: str
    result: Result

    def __str__(self) -> str:
        what = f"the remedy `{self.remedy}` for {self.step} of profile `{self.profile}`"
        return f"{self.day}: {what}: {self.result}"


def memory_file() -> Path:
    """Where it is kept."""
    return state_dir() / "state" / "remedies.json"


def tried(rule: str = "") -> list[Tried]:
    """What was tried (for a failure), oldest first; nothing where the file is missing or broken."""
    try:
        found = msgspec.json.decode(memory_file().read_bytes(), type=list[Tried])
    except (OSError, ValueError):
        return []
    return [one for one in found if not rule or one.rule == rule]


def remember_tried(*, rule: str, remedy: str, profile: str, step: str, result: Result) -> Tried:
    """Keep what came of a remedy; the file is replaced as a whole."""
    day = datetime.date.today().isoformat()
    new = Tried(day=day, rule=rule, remedy=remedy, profile=profile, step=step, result=result)
    rows = [*tried(), new][-KEPT:]
    write_text(memory_file(), msgspec.json.format(msgspec.json.encode(rows)).decode() + "\n")
    return new
