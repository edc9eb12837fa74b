"""One command on another machine, by the system's OpenSSH: its configuration, its agent, its connection sharing.

Host keys are always checked, nothing is asked for, and what a machine says is sorted into five outcomes.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from mambaops.core import process
from mambaops.core.errors import MachineError
from mambaops.fleet.model import Host, Ssh

Outcome = Literal["ok", "unreachable", "refused", "timeout", "failed"]
SSH_FAILED = 255  # ssh itself, not what it ran
NOT_FOUND = 127
# the first value that ssh meets counts: no configuration of anybody's takes these back
ALWAYS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "EscapeChar": "none",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    "LogLevel": "ERROR",
}
# what ssh says -> what it means and what to do; {where} is the machine as ssh was told it
MEANINGS: tuple[tuple[str, Outcome, str, str], ...] = (
    (
        r"IDENTIFICATION HAS CHANGED|host key for .* has changed|Offending .* key",
        "refused",
        "its host key is not the one that is known: somebody else may be answering",
        "ask who runs it whether it was installed anew; only then `ssh-keygen -R {where}` and `ssh {where}` once",
    ),
    (
        r"REVOKED HOST KEY|is revoked",
        "refused",
        "its host key was revoked",
        "ask who runs it",
    ),
    (
        r"Host key verification failed|host key is known for",
        "refused",
        "its host key is not known here",
        "`ssh {where}` once by hand, and compare the fingerprint with the one that its owner tells",
    ),
    (
        r"Permission denied|Too many authentication failures",
        "refused",
        "it does not let us in",
        "`ssh-copy-id {where}` once; `ssh-add` where the key has a passphrase",
    ),
    (
        r"Could not resolve hostname",
        "unreachable",
        "its name is not known",
        "name its address in hosts.yaml, or in OpenSSH's configuration",
    ),
    (
        r"Bad configuration option|terminating, \d+ bad configuration",
        "failed",
        "OpenSSH's configuration is broken",
        "`ssh -G {where}` names the line",
    ),
)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back; `reason` and `hint` are empty where the command ended well."""

    outcome: Outcome
    stdout: str = ""
    stderr: str = ""
    status: int = 0
    reason: str = ""
    hint: str = ""


@contextlib.contextmanager
def configured(ssh: Ssh) -> Iterator[Path]:
    """A configuration file for the run: ours first, then the person's. Machines to go through read it as well.

    Raises:
        MachineError: there is no ssh here.
    """
    if process.which("ssh") is None:
        raise MachineError("there is no `ssh` here", hint="`sudo apt-get install openssh-client`")
    with tempfile.TemporaryDirectory(prefix="mambaops-fleet-") as folder:
        path = Path(folder) / "ssh_config"
        path.write_text(configuration(ssh), encoding="utf-8")
        yield path


def configuration(ssh: Ssh) -> str:
    """What ssh reads: where the person names no file, their own and the system's, as without us."""
    values = {**ALWAYS, "ConnectTimeout": str(ssh.connect_timeout)}
    values |= {"IdentityAgent": _quoted(str(Path(ssh.agent).expanduser()))} if ssh.agent else {}
    files = [ssh.config] if ssh.config else ["~/.ssh/config", "/etc/ssh/ssh_config"]
    lines = ["Host *", *(f"  {key} {value}" for key, value in values.items())]
    return "\n".join([*lines, *(f"Match all\n  Include {_quoted(one)}" for one in files)]) + "\n"


def _quoted(path: str) -> str:
    return f'"{path}"'


def words(config: Path, name: str, host: Host, command: str) -> list[str]:
    """The command line of ssh; `command` is text for the machine's own shell."""
    found = ["ssh", "-F", str(config)]
    for flag, value in (
        ("-l", host.user),
        ("-p", str(host.port or "")),
        ("-i", host.identity),
        ("-J", host.jump),
    ):
        found += [flag, value] if value else []
    return [*found, "--", host.address or name, command]


def ask(
    config: Path, name: str, host: Host, command: str, *, stdin: str = "", timeout: float
) -> Answer:
    """Run a command there and wait for its end, `timeout` seconds at the most."""
    argv = words(config, name, host, command)
    done = process.run(argv, stdin=stdin, timeout=timeout, check=False)
    return answered(done, name, host, timeout)


def answered(done: process.Completed, name: str, host: Host, timeout: float) -> Answer:
    """The end of an ssh as an answer."""
    outcome, reason, hint = judged(done, where(name, host), timeout)
    return Answer(
        outcome=outcome,
        stdout=done.stdout,
        stderr=done.stderr,
        status=done.returncode,
        reason=reason,
        hint=hint,
    )


def where(name: str, host: Host) -> str:
    """The machine as a person tells it to ssh."""
    user = f"{host.user}@" if host.user else ""
    port = f"-p {host.port} " if host.port else ""
    jump = f"-J {host.jump} " if host.jump else ""
    return f"{port}{jump}{user}{host.address or name}"


def judged(done: process.Completed, where: str, timeout: float) -> tuple[Outcome, str, str]:
    """What the end of an ssh means: (outcome, reason, hint). Pure."""
    said = last_line(done.stderr)
    if done.timed_out:
        return "timeout", f"no answer within {timeout:g} s", f"`ssh {where}`: does it hang as well?"
    if done.returncode == 0:
        return "ok", "", ""
    if done.returncode != SSH_FAILED:
        return "failed", f"exited {done.returncode}" + (f": {said}" if said else ""), ""
    for pattern, outcome, reason, hint in MEANINGS:
        if re.search(pattern, done.stderr):
            return outcome, f"{reason} ({said})", hint.format(where=where)
    return "unreachable", said or "ssh ended without a word", f"`ssh -v {where}` says more"


def last_line(text: str) -> str:
    """The last line that says something, without what moves a terminal's cursor."""
    lines = [line.strip() for line in plain(text).splitlines() if line.strip()]
    return lines[-1] if lines else ""


def plain(text: str) -> str:
    """A text of another machine without escape sequences and control characters."""
    return re.sub(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", text)
