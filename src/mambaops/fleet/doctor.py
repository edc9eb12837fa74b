"""What is wrong with each machine, from its facts: the doctor's checks, made here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from mambaops.core.errors import MambaopsError
from mambaops.doctor.examine import examine, exit_code
from mambaops.doctor.model import Check
from mambaops.fleet.gather import Seen
from mambaops.fleet.model import Host
from mambaops.fleet.ssh import Outcome
from mambaops.profiles.model import Profile


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """One machine's findings; `exit_code` is that of `mambaops doctor`, None where it was not seen."""

    host: str
    outcome: Outcome
    reason: str
    hint: str
    exit_code: int | None = None
    checks: list[Check] = []


def examined(
    seen: Iterable[Seen], hosts: Mapping[str, Host], profiles: Mapping[str, Profile]
) -> list[Examined]:
    """A row for every machine."""
    return [_examined(one, profiles[hosts[one.host].profile]) for one in seen]


def _examined(seen: Seen, profile: Profile) -> Examined:
    row = Examined(host=seen.host, outcome=seen.outcome, reason=seen.reason, hint=seen.hint)
    if seen.facts is None:
        return row
    try:
        checks = examine(seen.facts, profile)
    except MambaopsError as error:  # it told something that cannot be judged
        return msgspec.structs.replace(row, outcome="failed", reason=error.message, hint=error.hint)
    return msgspec.structs.replace(row, checks=checks, exit_code=exit_code(checks))
