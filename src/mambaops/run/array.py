"""`build-wheel --slurm`: everything but the compilers is made ready here, each package is compiled by a task of one array.

The nodes see the same folders (`MAMBAOPS_HOME`, and the store in `MAMBAOPS_CACHE`), so what is whole is gone on with
wherever a task starts, also after it was killed and queued again.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from mambaops.core import interpreters
from mambaops.core.errors import CommandFailed, MachineError
from mambaops.decide.case import Case
from mambaops.decide.packages import to_build
from mambaops.decide.situation import Flags
from mambaops.run.runner import Done, Outcome, Run
from mambaops.slurm import array
from mambaops.slurm.array import Ended
from mambaops.slurm.nodes import Node, in_partition, partitions

Say = Callable[[str], None]
STEP = "build-wheel"
CPUS = 16  # more compilers than a package has large files help nobody
HOURS = 12  # at most; a partition that allows less is asked for what it allows


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a task is asked for: `cpus` compilers at once, `memory` in MB (0: nodes do not tell theirs), `minutes` at most."""

    cpus: int
    memory: int
    minutes: int

    def words(self) -> list[str]:
        """For sbatch; the person's own variable for the time says more than we do."""
        memory = [f"--mem={self.memory}M"] if self.memory else []
        time = [] if "SBATCH_TIMELIMIT" in os.environ else [f"--time={self.minutes}"]
        return [f"--cpus-per-task={self.cpus}", *memory, *time]


def limits(nodes: Sequence[Node], each: float, jobs: int = 0) -> Limits:
    """What fits every node that takes jobs.

    Args:
        each: GiB that one compiler takes at its peak. jobs: compilers at once; 0: by cores and memory.

    Raises:
        MachineError: none takes any.
    """
    able = [one for one in nodes if one.takes_jobs]
    if not able:
        told = "; ".join(
            f"{one.name}: {one.state}" + f" ({one.reason})" * bool(one.reason) for one in nodes
        )
        raise MachineError(
            f"no node takes jobs: {told or 'there is none'}", hint="another one: `--partition NAME`"
        )
    memory = min(one.memory for one in able)
    counted = memory > 1  # where Slurm does not count memory, every node has one MB
    cores = min(one.cpus for one in able)
    fit = min(CPUS, cores, int(memory / 1024 // each) if counted else CPUS)
    cpus = max(1, min(jobs, cores) if jobs else fit)
    longest = [one.longest for one in able if one.longest is not None]
    return Limits(
        cpus=cpus,
        memory=min(memory, int(cpus * each * 1024)) if counted else 0,
        minutes=min([*longest, HOURS * 60]),
    )


def chosen(nodes: list[Node], partition: str) -> list[Node]:
    """The nodes of the partition that was asked for, or that the cluster takes by itself.

    Raises:
        MachineError: there is no such partition, or the cluster has no default one.
    """
    wanted = partition or os.environ.get("SBATCH_PARTITION", "")
    found = in_partition(nodes, wanted)
    if not found:
        what = f"no partition `{wanted}`" if wanted else "no default partition"
        raise MachineError(
            f"this cluster has {what}; there are: {', '.join(partitions(nodes))}",
            hint="`--partition NAME`",
        )
    return found


def build(run: Run, packages: Sequence[str], *, partition: str = "", say: Say) -> Outcome:
    """Compile the wheels of these packages by the user's Slurm.

    Raises:
        MachineError: no Slurm, no such partition, no node that takes jobs, or the job is not taken.
        CommandFailed: a task failed; its log is named. Others as `Run.all`.
    """
    cluster = chosen(array.cluster(), partition)
    ready = run.all([f"{STEP}:{name}" for name in packages], only_ready=True)
    case = run.case()
    wanted = [name for name, _ in to_build(case)]
    if not wanted:
        return ready
    each = max(case.described(name).build.memory_gib for name in wanted)
    asked = limits(cluster, each, run.jobs)
    commands = [_command(case, run.flags, name, asked) for name in wanted]
    name = f"mambaops-{hashlib.sha256(' '.join(commands).encode()).hexdigest()[:8]}"
    folder = run.where.root / "slurm" / name
    job = array.running(name)
    if job:
        say(f"job {job} is under way already: coming back to it")
    else:
        words = [*([f"--partition={partition}"] if partition else []), *asked.words()]
        job = array.submit(folder, name, commands, words)
        say(f"job {job}: {len(commands)} tasks, each with {asked.cpus} compilers ({folder})")
    compiled = _compiled(_followed(job, folder, wanted, say))
    return Outcome(plan=ready.plan, steps=[*ready.steps, *compiled], folder=str(folder))


def _command(case: Case, flags: Flags, package: str, asked: Limits) -> str:
    """What a node runs: the choices are made here, it only compiles."""
    words = ["--profile", flags.profile, "--package", flags.add.get(package) or package]
    words += ["--arch", ";".join(case.choice.archs), "--jobs", str(asked.cpus), "--part"]
    words += ["--torch", flags.torch] if flags.torch else []
    words += ["--python", flags.python] if flags.python else []
    words += ["--obtain", ",".join(flags.obtain)] if flags.obtain else []
    words += ["--cross"] if flags.cross else []
    for name, path in flags.source.items():
        words += ["--source", f"{name}={path}"]
    here = shlex.quote(str(Path.cwd()))
    return f"cd {here} && {shlex.join([str(interpreters.ours()), '-m', 'mambaops', STEP, *words])}"


def _followed(job: str, folder: Path, names: Sequence[str], say: Say) -> list[Ended]:
    try:
        return array.follow(job, folder, names, say)
    except KeyboardInterrupt:
        say(f"job {job} goes on: the same command comes back to it, `scancel {job}` ends it")
        raise


def _compiled(found: list[Ended]) -> list[Done]:
    bad = [one for one in found if one.status != 0]
    if bad:
        told = "; ".join(f"{one.name} (job {one.job}): {one.reason}" for one in bad)
        raise CommandFailed(
            f"not compiled: {told}",
            returncode=bad[0].status or 1,
            hint=f"`mambaops diagnose --log {shlex.quote(bad[0].log)}` reads why",
        )
    return [
        Done(step=f"{STEP}:{one.name}", outcome="done", reason=f"by job {one.job}") for one in found
    ]
