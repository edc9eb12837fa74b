"""One job on another machine: it outlives the connection, is found again, and its log comes line by line."""

from __future__ import annotations

import functools
import hashlib
import re
import shlex
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from mambaops.core import process
from mambaops.core.files import sha256_of
from mambaops.core.paths import payload_file
from mambaops.fleet import cluster, ssh
from mambaops.fleet.model import Host

Tell = Callable[[str], None]
Outcome = Literal["ok", "unreachable", "refused", "timeout", "failed", "running", "lost"]
SECONDS = 60.0  # for a short question
DAY = 86400.0
TRIES, PAUSE = 3, 5.0  # to come back to a job whose connection was lost
BUILD = "build"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a job; `ok` ended well, `running` goes on there, `lost` was left by the connection.

    `how` is what holds it there (systemd-run, tmux, nohup, slurm), "unchanged" where it was done before; `lines` were told.
    """

    host: str
    outcome: Outcome
    reason: str = ""
    hint: str = ""
    how: str = ""
    lines: int = 0


class There:
    """One machine and the connection to it; `left` is set when the person leaves."""

    def __init__(self, config: Path, name: str, host: Host, left: threading.Event) -> None:
        self.config, self.name, self.host, self.left = config, name, host, left

    def ask(
        self, action: str, *words: str, job: str = BUILD, timeout: float = SECONDS
    ) -> ssh.Answer:
        """One action of `payload/fleet_job.sh`."""
        script = _script(action, job, *words)
        return ssh.ask(self.config, self.name, self.host, "sh -s", stdin=script, timeout=timeout)

    def failed(self, got: ssh.Answer, reason: str = "") -> Job:
        told = reason or got.reason
        return Job(host=self.name, outcome=got.outcome, reason=told, hint=got.hint)


def _script(action: str, *words: str) -> str:
    """The words inside of it: no shell but the one that runs it takes them apart."""
    begin = shlex.join(["set", "--", action, *words])
    return f"{begin}\n" + payload_file("fleet_job.sh").read_text(encoding="utf-8")


def told(got: ssh.Answer) -> list[str]:
    """The words of the last line that is for us."""
    lines = [line for line in got.stdout.splitlines() if line.startswith("@ ")]
    return lines[-1][2:].split() if lines else []


def start(there: There, command: str, *, always: bool = False) -> Job:
    """Start a command, unless the same one runs, or ended well before.

    Args:
        always: also where it ended well: it finds out itself what is to be done.
    """
    digest = hashlib.sha256(command.encode()).hexdigest()
    got = there.ask("start", digest, command, "yes" if always else "no", cluster.batch(there.host))
    words = told(got)
    if got.outcome != "ok" or not words:
        return there.failed(got, got.reason or "it could not be started")
    if words[0] == "busy":
        reason = "another job runs there"
        hint = f"`mambaops fleet attach {there.name}` shows it, with `--stop` it ends"
        return Job(host=there.name, outcome="failed", reason=reason, hint=hint)
    if words[0] == "refused":
        reason = f"Slurm did not take it: {' '.join(words[1:])}"
        return Job(
            host=there.name, outcome="failed", reason=reason, hint="`sinfo` there has its limits"
        )
    if words[0] == "silent":
        return Job(host=there.name, outcome="failed", reason=f"{words[1]} did not start it")
    if words[0] == "done":
        return Job(host=there.name, outcome="ok", how="unchanged")
    return Job(
        host=there.name, outcome="running", how=words[1] if len(words) > 1 else "runs already"
    )


def follow(there: There, tell: Tell, *, at: int = 1) -> Job:
    """Its log from line `at` on as it grows, until it ends; a lost connection is made anew a few times."""
    tries = 0
    while True:
        got, seen = _followed(there, tell, at)
        at += seen
        tries = 1 if seen else tries + 1
        lost = got.status == ssh.SSH_FAILED and not there.left.is_set()
        if got.outcome == "ok" or not lost or tries > TRIES:
            return _ended(there, got, at - 1)
        tell(f"(the connection was lost: {got.reason}; the job goes on there)")
        there.left.wait(PAUSE)


def _followed(there: There, tell: Tell, at: int) -> tuple[ssh.Answer, int]:
    seen = 0

    def line(text: str) -> None:
        nonlocal seen
        if text.startswith("| "):
            seen += 1
            tell(ssh.plain(text[2:]))
        elif text.startswith("- "):  # not the job's: no line of its log
            tell(f"({ssh.plain(text[2:])})")

    argv = ssh.words(there.config, there.name, there.host, "sh -s")
    script = _script("follow", BUILD, str(at))
    done = process.run(argv, stdin=script, timeout=DAY, check=False, on_line=line)
    return ssh.answered(done, there.name, there.host, DAY), seen


def _ended(there: There, got: ssh.Answer, lines: int) -> Job:
    words = told(got)
    if got.outcome != "ok":
        hint = f"`mambaops fleet attach {there.name}` comes back to it"
        return Job(host=there.name, outcome="lost", reason=got.reason, hint=hint, lines=lines)
    if words[:1] == ["none"]:
        hint = f"`mambaops fleet build {there.name}` starts one"
        return Job(host=there.name, outcome="failed", reason="no job was started there", hint=hint)
    status = words[1] if len(words) > 1 else "died"
    if status == "0":
        return Job(host=there.name, outcome="ok", lines=lines)
    hint = f"`mambaops fleet diagnose {there.name}` reads its log"
    reason = (
        "it was ended from outside, or its disk is full"
        if status == "died"
        else f"it exited {status}"
    )
    return Job(host=there.name, outcome="failed", reason=reason, hint=hint, lines=lines)


def stop(there: There) -> Job:
    """End the job with all that it started."""
    got = there.ask("stop")
    if got.outcome != "ok":
        return there.failed(got)
    reason = "it was stopped" if told(got) == ["stopped"] else "no job runs there"
    return Job(host=there.name, outcome="ok", reason=reason)


def carried_name(file: Path) -> str:
    """Where a file lies there below `files`: by what is in it, so that a changed one is another; its name stays."""
    return f"{_digest(file)[:16]}/{re.sub(r'[^A-Za-z0-9._+-]', '_', file.name)}"


def _digest(file: Path) -> str:
    """A bundle has gigabytes, and goes to many machines: it is read once as long as it stays the same."""
    stat = file.stat()
    return _read_once(file, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache
def _read_once(file: Path, size: int, changed: int) -> str:
    return sha256_of(file)


def carry(there: There, file: Path) -> Job | None:
    """Bring a file there, whole or not at all; one that was broken off is gone on with. None: it is there."""
    name, size = carried_name(file), file.stat().st_size
    got = there.ask("file", name, str(size), job="-")
    words = told(got)
    if got.outcome != "ok" or not words:
        return there.failed(got, got.reason or "its folder could not be looked at")
    if words[0] == "there":
        return None
    sent = _send(there, file, name, int(words[1]))
    if sent.outcome != "ok":
        return there.failed(sent, f"{file.name} could not be carried: {sent.reason}")
    checked = there.ask("whole", name, _digest(file), job="-", timeout=DAY)
    if told(checked) == ["there"]:
        return None
    return there.failed(checked, checked.reason or f"{file.name} arrived damaged: try again")


def _send(there: There, file: Path, name: str, have: int) -> ssh.Answer:
    """The bytes behind the first `have`; where its disk is full nothing is left of it there."""
    part = f'"$HOME/.mambaops-fleet/files/{name}.part"'
    command = f"sh -c {shlex.quote(f'cat >>{part} || {{ rm -f {part}; exit 1; }}')}"
    argv = ssh.words(there.config, there.name, there.host, command)
    with file.open("rb") as data:
        data.seek(have)
        done = process.run(argv, stdin=data, timeout=DAY, check=False)
    return ssh.answered(done, there.name, there.host, DAY)
