"""Commands as the tasks of one Slurm array: submitted, found again, followed line by line to their ends.

The folder must be one that every node sees. It holds `commands` (a line for each task), the script, and of each task
`N.log` and, when it has ended, `N.status`.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from mambaops.core import process, trees
from mambaops.core.errors import MachineError
from mambaops.core.files import write_text
from mambaops.slurm import jobs, nodes
from mambaops.slurm.jobs import Task

Say = Callable[[str], None]
PAUSE = 3.0  # seconds between two looks: the controller serves everybody
AGAIN = 3  # times that a task which was killed is queued again
ASK = 60.0  # seconds for a question to the controller
SCRIPT = """#!/bin/sh
# the tasks of an array: each runs its line of `commands`
at={folder}/$SLURM_ARRAY_TASK_ID
rm -f "$at.status"
sh -c "$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" {folder}/commands)"
status=$?
# killed from outside, e.g. for want of memory: once more, from what is whole
if [ "$status" -eq 137 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {again} ]; then
  echo "it was killed; job $SLURM_JOB_ID is queued again"
  scontrol requeue "$SLURM_JOB_ID" && sleep 60
fi
echo "$status" >"$at.status.part" && mv "$at.status.part" "$at.status"
exit "$status"
"""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a task. `status` is its command's; None: it did not come to its end, and `reason` says why."""

    name: str
    job: str
    status: int | None
    reason: str
    restarts: int
    log: str


def cluster() -> list[nodes.Node]:
    """The nodes of the Slurm that this machine belongs to.

    Raises:
        MachineError: there is none, or it does not answer.
    """
    if process.which("sbatch") is None:
        raise MachineError(
            "there is no Slurm here: no `sbatch` is on PATH",
            hint="run it on the cluster's login node; what it has may come with `module load slurm`",
        )
    argv = ["sinfo", "-h", "-N", "-o", nodes.FORMAT]
    done = process.run(argv, timeout=ASK, check=False)
    if not done.ok:
        raise MachineError(f"Slurm does not answer: {_last(done.stderr)}", hint="`sinfo`")
    return nodes.parse(done.stdout)


def running(name: str) -> str:
    """The id of this user's array of that name that waits or runs; "" where there is none."""
    argv = ["squeue", "-h", "--me", "-n", name, "-o", "%A|%F"]
    done = process.run(argv, timeout=ASK, check=False)
    lines = done.stdout.split() if done.ok else []
    return lines[0].partition("|")[2] if lines else ""


def submit(folder: Path, name: str, commands: Sequence[str], words: Sequence[str]) -> str:
    """Submit the commands; the array's id.

    Args:
        words: more of sbatch's own.

    Raises:
        MachineError: Slurm does not take it; its own words say why.
    """
    text = SCRIPT.format(folder=shlex.quote(str(folder)), again=AGAIN)
    write_text(folder / "commands", "".join(f"{one}\n" for one in commands))
    script = write_text(folder / "array.sh", text)
    for number in range(len(commands)):
        write_text(folder / f"{number}.log", "")
        (folder / f"{number}.status").unlink(missing_ok=True)
    # its processes are not of this run: what ends with it may not end them where a node is this machine
    argv = [
        "env", "-u", trees.MARK, "sbatch", "--parsable", "--requeue", "--open-mode=append", f"--job-name={name}",
        f"--array=0-{len(commands) - 1}", f"--output={folder}/%a.log",
        *words, str(script),
    ]  # fmt: skip
    done = process.run(argv, timeout=ASK, check=False)
    if not done.ok:
        raise MachineError(
            f"Slurm does not take the job: {_last(done.stderr)}",
            hint="name a partition with `--partition`, an account in the variable SBATCH_ACCOUNT; "
            "`sinfo` and `scontrol show partition` have the limits",
        )
    return done.stdout.strip().partition(";")[0]


def follow(job: str, folder: Path, names: Sequence[str], say: Say) -> list[Ended]:
    """Each task's log as it grows and each change of its state, until all are over."""
    followed = [_Followed(number, name, folder, say) for number, name in enumerate(names)]
    while True:
        tasks = _asked(job)
        over = [one.look(tasks) for one in followed]
        if all(over):
            return [one.ended(job) for one in followed]
        time.sleep(PAUSE)


def _asked(job: str) -> dict[int, Task] | None:
    """None: the controller does not answer just now."""
    done = process.run(["scontrol", "show", "job", "-o", job], timeout=ASK, check=False)
    if done.ok or "Invalid job id" in done.stderr:
        return jobs.parse(done.stdout)
    return None


class _Followed:
    """One task: what was told of it already."""

    def __init__(self, number: int, name: str, folder: Path, say: Say) -> None:
        self.number, self.name, self.say = number, name, say
        self.log, self.status = folder / f"{number}.log", folder / f"{number}.status"
        self.read = 0
        self.task: Task | None = None
        self.told = ""

    def look(self, tasks: dict[int, Task] | None) -> bool:
        """Is it over? What is new is told."""
        if tasks is None:
            self._tell("Slurm does not answer; asked again")
            return False
        self.task = tasks.get(self.number, self.task)
        known = self.number in tasks
        if known and self.task is not None:
            self._tell(f"job {self.task.job} {self.task.told()}")
        over = not known or (self.task is not None and self.task.is_over)
        self._tail(whole=over)
        return over

    def _tell(self, text: str) -> None:
        if text != self.told:
            self.told = text
            self.say(f"{self.name}: {text}")

    def _tail(self, *, whole: bool) -> None:
        """Whole lines only, but at the end."""
        with self.log.open("rb") as file:
            file.seek(self.read)
            new = file.read()
        new = new if whole else new[: new.rfind(b"\n") + 1]
        self.read += len(new)
        for line in new.decode(errors="replace").splitlines():
            self.say(f"{self.name}: {line}")

    def ended(self, job: str) -> Ended:
        text = self.status.read_text().strip() if self.status.is_file() else ""
        status = int(text) if text.isdigit() else None
        state = self.task.told() if self.task else "Slurm does not know it any more"
        return Ended(
            name=self.name,
            job=f"{job}_{self.number}",
            status=status,
            reason="" if status == 0 else f"it exited {status}" if status else state,
            restarts=self.task.restarts if self.task else 0,
            log=str(self.log),
        )


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]
