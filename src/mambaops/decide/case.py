"""What a step is judged by, and what the judgement says."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mambaops.decide.choice import Choice, build_key
from mambaops.decide.situation import Flags, Situation
from mambaops.facts.model import Facts
from mambaops.profiles.model import PackageSpec, Profile


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is done, needed or blocked; `hint` says what to do about a blocked step."""

    status: str
    reason: str
    hint: str = ""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a step is judged by."""

    profile: Profile
    choice: Choice
    flags: Flags
    situation: Situation

    @property
    def facts(self) -> Facts:
        return self.situation.facts

    @property
    def target(self) -> Facts | None:
        return self.situation.target

    def wanted_version(self, package: str, spec: PackageSpec) -> str:
        """The version that the built wheel carries, with its local part."""
        key = build_key(package, spec, self.profile, self.choice, self.flags)
        return f"{spec.version}+{key.local_version()}"


Assess = Callable[[Case], Verdict]


def done(reason: str) -> Verdict:
    return Verdict(status="done", reason=reason)


def needed(reason: str) -> Verdict:
    return Verdict(status="needed", reason=reason)


def blocked(reason: str, hint: str) -> Verdict:
    return Verdict(status="blocked", reason=reason, hint=hint)
