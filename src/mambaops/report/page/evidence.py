"""The evidence of one run as it lies on the disk, also of an older version, half-written or damaged."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mambaops.core.errors import UsageError

Record = dict[str, Any]
TAIL_BYTES = 200_000
TAIL_LINES = 40
_NAME = re.compile(r"(?P<time>\d{8}-\d{6})-(?P<profile>.+?)(?:\.\d+)?")


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a run has left; empty records for what it has not.

    Attributes:
        broken: files that cannot be read, and why.
        manifests: package -> what its build has recorded.
    """

    folder: Path
    plan: Record = field(default_factory=dict)
    outcome: Record = field(default_factory=dict)
    before: Record = field(default_factory=dict)
    after: Record = field(default_factory=dict)
    verification: Record = field(default_factory=dict)
    flags: Record = field(default_factory=dict)
    manifests: dict[str, Record] = field(default_factory=dict)
    logs: list[Path] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def when(self) -> str:
        """`2026-11-21 14:35:34`, of the folder's name; "" where that is another."""
        found = _NAME.fullmatch(self.folder.name)
        if found is None:
            return ""
        day, time = found["time"].split("-")
        return f"{day[:4]}-{day[4:6]}-{day[6:]} {time[:2]}:{time[2:4]}:{time[4:]}"

    @property
    def steps(self) -> list[Record]:
        """What became of each step, in order."""
        return records(self.outcome.get("steps"))

    @property
    def status(self) -> str:
        """`done`, `failed`, or `unfinished` where it was stopped or is at work."""
        if any(step.get("outcome") == "failed" for step in self.steps):
            return "failed"
        ended = self.steps and self.after
        return "done" if ended else "unfinished"


def read(folder: Path) -> Evidence:
    """Read everything that is there."""
    broken: list[str] = []

    def one(name: str) -> Record:
        return _record(folder / name, broken)

    plan, outcome = one("plan.json"), one("outcome.json")
    manifests = {
        path.stem.removeprefix("manifest-"): _record(path, broken)
        for path in sorted(folder.glob("manifest-*.json"))
    }
    return Evidence(
        folder=folder,
        plan=plan or record(outcome.get("plan")),
        outcome=outcome,
        before=one("facts-before.json"),
        after=one("facts-after.json"),
        verification=one("verify.json"),
        flags=one("flags.json"),
        manifests=manifests,
        logs=sorted((path for path in folder.glob("*.log") if path.is_file()), key=_age),
        broken=broken,
    )


def _record(path: Path, broken: list[str]) -> Record:
    if not path.is_file():
        return {}
    try:
        return record(json.loads(path.read_text(encoding="utf-8", errors="replace")))
    except (OSError, ValueError, RecursionError) as error:
        broken.append(f"{path.name}: {error}")
        return {}


def record(value: object) -> Record:
    """The value where it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def records(value: object) -> list[Record]:
    """The mappings of a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def number(value: object) -> float:
    """A finite amount that is not negative; 0 for anything else."""
    fine = isinstance(value, int | float) and 0 <= value < 1e9
    return float(value) if fine else 0.0  # type: ignore[arg-type]


def tail(log: Path) -> str:
    """The last lines of a log of any size."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            text = file.read(TAIL_BYTES).decode("utf-8", "replace")
    except OSError as error:
        return f"{log.name} cannot be read: {error.strerror or error}"
    return "\n".join(line[:2000] for line in text.splitlines()[-TAIL_LINES:])


def find(runs: Path, name: str = "") -> Path:
    """The folder of a run: named by its path, its name or the beginning of it; the latest where none is named.

    Raises:
        UsageError: there is none, or the beginning is that of several.
    """
    if name and _is_run(Path(name)):
        return Path(name)
    there = sorted(path for path in runs.glob("*") if _is_run(path)) if runs.is_dir() else []
    if not there:
        raise UsageError(
            f"no run has left evidence in {runs}", hint="`mambaops build-mamba` leaves some"
        )
    if not name:
        return there[-1]
    fitting = [path for path in there if path.name == name] or [
        p for p in there if p.name.startswith(name)
    ]
    if len(fitting) == 1:
        return fitting[0]
    many = "several runs begin" if fitting else "no run begins"
    listed = ", ".join(path.name for path in (fitting or there)[-5:])
    raise UsageError(f"{many} with `{name}` in {runs}", hint=f"the latest: {listed}")


def _is_run(path: Path) -> bool:
    try:
        return any(
            (path / file).is_file() for file in ("plan.json", "outcome.json", "facts-before.json")
        )
    except OSError:
        return False


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
