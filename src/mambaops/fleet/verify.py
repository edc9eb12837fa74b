"""The proof of each machine's environment: by its own mambaops, or the imports alone where a bundle was installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec

from mambaops.bundle.install import manifest_of
from mambaops.core.json_lines import json_lines
from mambaops.core.paths import payload_file
from mambaops.core.piped import piped
from mambaops.fleet import build, cluster, ssh
from mambaops.fleet.gather import side_by_side
from mambaops.fleet.model import Fleet, Host
from mambaops.verify.model import Check, Verification

WAIT = 600.0  # seconds for a cluster's node
SECONDS = 1800.0  # kernels that are compiled on first use take their time
IMPORTS_ALONE = "no mambaops is there: the imports alone were looked at, no kernel was run"


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """One machine's proof. `outcome` says whether it could be asked, `passed` what came out; None: nothing did."""

    host: str
    outcome: ssh.Outcome
    reason: str = ""
    hint: str = ""
    passed: bool | None = None
    checks: list[Check] = []


def verify(fleet: Fleet, hosts: Mapping[str, Host], *, jobs: int = 0) -> list[Verified]:
    """The proof of every machine, side by side. Errors as `ssh.configured`."""
    with ssh.configured(fleet.ssh) as config:

        def one(name: str, host: Host) -> Verified:
            if host.bundle:
                return _imports(config, name, host)
            return _whole(config, name, host)

        return list(side_by_side(hosts, one, jobs=jobs).values())


def _whole(config: Path, name: str, host: Host) -> Verified:
    """By the machine's own mambaops; its exit status 1 is an answer."""
    command = f"{host.mambaops} verify {build.words(host)} --json"
    job = cluster.in_job(host, command, wait=WAIT, minutes=int(SECONDS // 60))
    got = ssh.ask(config, name, host, job, timeout=SECONDS)
    if got.outcome not in ("ok", "failed"):
        return Verified(host=name, outcome=got.outcome, reason=got.reason, hint=got.hint)
    try:
        # a start-up file may print before it
        found = json.loads(got.stdout[got.stdout.index("{") :])
        return _proof(name, msgspec.convert(found, Verification))
    except (ValueError, msgspec.ValidationError):
        error = ssh.last_line(got.stderr) or got.reason or "it said nothing"
        hint = f"try `ssh {ssh.where(name, host)} '{command}'`"
        return Verified(
            host=name, outcome="failed", reason=f"no proof came back: {error}", hint=hint
        )


def _proof(name: str, found: Verification) -> Verified:
    return Verified(host=name, outcome="ok", passed=found.passed, checks=found.checks)


def _imports(config: Path, name: str, host: Host) -> Verified:
    """The modules that the bundle names, in the environment that it made. Without results it is no whole proof."""
    bundle = Path(host.bundle)
    modules = manifest_of(bundle).imports
    program = piped(payload_file("smoke.py"), modules)
    python = f"{build.environment(bundle)}/bin/python -"
    command = cluster.in_job(host, python, wait=WAIT, minutes=int(SECONDS // 60))
    got = ssh.ask(config, name, host, command, stdin=program, timeout=SECONDS)
    if got.outcome not in ("ok", "failed"):
        return Verified(host=name, outcome=got.outcome, reason=got.reason, hint=got.hint)
    if got.status in (ssh.NOT_FOUND, 126):
        hint = f"`mambaops fleet build {name}` installs it"
        return Verified(
            host=name, outcome="failed", reason="its bundle is not installed", hint=hint
        )
    seen = {one["module"]: one for one in json_lines(got.stdout) if "module" in one}
    checks = [_check(module, seen) for module in modules]
    checks.append(Check(id="results", outcome="skipped", reason=IMPORTS_ALONE))
    return _proof(name, Verification(checks=checks, required_skips=["results"] if modules else []))


def _check(module: str, seen: Mapping[str, Mapping[str, str]]) -> Check:
    found = seen.get(
        module, {"outcome": "failed", "reason": "the interpreter ended during the import"}
    )
    return Check(id=f"import:{module}", outcome=found["outcome"], reason=found["reason"])
