"""What a selection says: one verdict per candidate, and how it is printed as JSON."""

from __future__ import annotations

from msgspec import Struct

from mambaops.wheels.candidates import Candidate
from mambaops.wheels.machine import Machine
from mambaops.wheels.select.command import command_for, command_for_pair

FITS, AFTER_REPAIR, NEIGHBOUR, REFUSED = "fits", "fits after repair", "neighbour", "refused"


class Verdict(Struct, frozen=True, kw_only=True):
    """What became of one candidate.

    Attributes:
        accepted: it may be installed. kind: "fits", "fits after repair", "neighbour" or "refused".
        reason: why, in words. rule: the name of the rule that refused it, "" where none did. notes: what else to know. repair: the glibc to repair it for.
        change: for refused ones, what would have to be different (filled in for the nearest misses).
    """

    name: str
    source: str
    accepted: bool
    reason: str
    kind: str = FITS
    rule: str = ""
    url: str = ""
    version: str = ""
    notes: tuple[str, ...] = ()
    repair: str | None = None
    change: tuple[str, ...] = ()
    candidate: Candidate

    def as_json(self) -> dict[str, object]:
        """The shape that `select-wheel --json` prints."""
        shape: dict[str, object] = {
            "name": self.name,
            "source": self.source,
            "version": self.version,
            "torch": self.candidate.built_with or self.candidate.torch,
            "cuda": self.candidate.cuda,
            "python": self.candidate.python,
            "machine": self.candidate.machine,
            "status": self.candidate.status,
            "accepted": self.accepted,
            "reason": self.reason,
            "kind": self.kind,
            "rule": self.rule,
            "url": self.url,
            "notes": list(self.notes),
        }
        if self.repair:
            shape["repair"] = self.repair
        if self.change:
            shape["change"] = list(self.change)
        return shape


class Selection(Struct, frozen=True, kw_only=True):
    """The best one, all with their reasons (accepted first, best first), and the nearest misses.

    Attributes:
        machine: what was judged for. newer: what of it came after the tables, "" where nothing did.
    """

    package: str
    machine: Machine
    newer: str = ""
    chosen: Verdict | None
    candidates: tuple[Verdict, ...]
    nearest: tuple[Verdict, ...] = ()

    def as_json(self) -> dict[str, object]:
        return {
            "package": self.package,
            "machine": self.machine.as_json(),
            "newer": self.newer,
            "command": command_for(self),
            "chosen": self.chosen.as_json() if self.chosen else None,
            "candidates": [verdict.as_json() for verdict in self.candidates],
            "nearest": [verdict.as_json() for verdict in self.nearest],
        }


class Pair(Struct, frozen=True, kw_only=True):
    """Both packages of a pair chosen together; None where none of one generation fits, with the reason.

    Attributes:
        names: the package that leads, and the other one. first/other: what was chosen of each.
        interpreter: the Python that they are installed into.
    """

    names: tuple[str, str]
    first: Verdict | None
    other: Verdict | None
    reason: str
    interpreter: str

    def as_json(self) -> dict[str, object]:
        return {
            "command": command_for_pair(self),
            self.names[0]: self.first.as_json() if self.first else None,
            self.names[1]: self.other.as_json() if self.other else None,
            "reason": self.reason,
        }
