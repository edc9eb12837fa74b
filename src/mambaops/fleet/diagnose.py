"""Why a machine's job failed: its log is read here, with the machine's facts where they are kept."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mambaops.core.files import write_text
from mambaops.diagnose.explain import Explanation, explain_log
from mambaops.facts.model import Facts
from mambaops.fleet import kept, ssh
from mambaops.fleet.gather import side_by_side
from mambaops.fleet.job import SECONDS
from mambaops.fleet.model import Fleet, Host

LOG = "$HOME/.mambaops-fleet/jobs/build"
STATUS = "@ exit "


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """One machine's log and what it says; None where it could not be read. `log` is its copy here."""

    host: str
    outcome: ssh.Outcome
    reason: str = ""
    hint: str = ""
    log: str = ""
    exit_code: int | None = None
    found: Explanation | None = None


def diagnose(fleet: Fleet, hosts: Mapping[str, Host], *, jobs: int = 0) -> list[Explained]:
    """Fetch the log of each machine's last job and read it. Errors as `ssh.configured`."""
    facts = {one.host: one.facts for one in kept.kept(hosts)}
    with ssh.configured(fleet.ssh) as config:

        def one(name: str, host: Host) -> Explained:
            command = f'cat "{LOG}/log" && echo "{STATUS}$(cat "{LOG}/status")"'
            got = ssh.ask(config, name, host, f"sh -c '{command}'", timeout=SECONDS)
            return _explained(name, got, facts[name])

        return list(side_by_side(hosts, one, jobs=jobs).values())


def _explained(name: str, got: ssh.Answer, facts: Facts | None) -> Explained:
    if got.outcome == "failed":
        hint = f"`mambaops fleet build {name}` starts one"
        return Explained(
            host=name, outcome="failed", reason="no job has left a log there", hint=hint
        )
    if got.outcome != "ok":
        return Explained(host=name, outcome=got.outcome, reason=got.reason, hint=got.hint)
    log, _, status = got.stdout.rpartition(STATUS)
    path = write_text(kept.folder(name) / "build.log", log)
    code = int(status) if status.strip().isdigit() else None
    found = explain_log(path, facts, exit_code=code)
    return Explained(host=name, outcome="ok", log=str(path), exit_code=code, found=found)
