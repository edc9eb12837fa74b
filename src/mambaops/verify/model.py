"""What was looked at in an environment, and what came out."""

from __future__ import annotations

from typing import Any

import msgspec


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at. `outcome` is ok, failed, skipped, or emulated: right, but not on a GPU."""

    id: str
    outcome: str
    reason: str = ""
    value: Any = None


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """All checks of one environment. `required_skips` are skips that a whole proof may not have."""

    checks: list[Check]
    required_skips: list[str] = []

    @property
    def passed(self) -> bool:
        """Something was proven, nothing failed, and nothing that must be proven was skipped."""
        outcomes = {check.outcome for check in self.checks}
        return "ok" in outcomes and "failed" not in outcomes and not self.required_skips
