"""What a judgement of a step says."""

from __future__ import annotations

import msgspec


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is done, needed or blocked; `hint` says what to do about a blocked step."""

    status: str
    reason: str
    hint: str = ""


def done(reason: str) -> Verdict:
    return Verdict(status="done", reason=reason)


def needed(reason: str, hint: str = "") -> Verdict:
    """`hint`: another way than the step's own."""
    return Verdict(status="needed", reason=reason, hint=hint)


def blocked(reason: str, hint: str) -> Verdict:
    return Verdict(status="blocked", reason=reason, hint=hint)
