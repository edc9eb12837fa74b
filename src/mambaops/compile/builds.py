"""From a patched source tree to a wheel: several builds at once on one pool of compilers, resumable.

Objects stay in the tree, so that a build that was interrupted goes on from those that are whole (ninja
takes an object without an entry in its log for unmade, so a half-written one is compiled again).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil

from mambaops.compile import jobs as job_pool
from mambaops.compile.monitor import Activity, Unit, compiling, units
from mambaops.core import process
from mambaops.core.errors import CommandFailed, MambaopsError

GROUP_FILE = "mambaops-build.pid"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One wheel to build.

    Attributes:
        package: distribution name. tree: patched sources. out: where the wheel goes (made anew).
        python: the target environment's interpreter. env: whole environment of the build.
        ninja: False builds file by file, without ninja.
    """

    package: str
    tree: Path
    out: Path
    log: Path
    python: Path
    env: dict[str, str]
    ninja: bool = True


@dataclass
class Progress:
    """What the person is told while it builds."""

    package: str
    total: int
    done: int
    running: list[Activity]
    units: list[Unit] = field(default_factory=list)


class Built(NamedTuple):
    """One finished build: the wheel and how long each file took (seconds; earlier runs' included)."""

    package: str
    wheel: Path
    seconds: float
    durations: dict[str, float]
    began: dict[str, float]


def build(
    recipes: Sequence[Recipe],
    *,
    jobs: int,
    tick: Callable[[list[Progress], float], None],
    interval: float = 1.0,
) -> list[Built]:
    """Build all recipes side by side and return the wheels in their order.

    Args:
        jobs: compilers at once, over all builds together.
        tick: called every `interval` seconds with the progress of each build and the seconds so far.

    Raises:
        CommandFailed: a build failed; the others are ended (their whole objects stay).
    """
    works = [_Work(recipe) for recipe in recipes]
    started = time.monotonic()
    with _environment(works, jobs) as pool:
        threads = [threading.Thread(target=work.run, args=(pool,), daemon=True) for work in works]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                tick([work.progress() for work in works], time.monotonic() - started)
                if any(work.error for work in works):
                    break
                _wait(threads, interval)
        finally:
            process.end(*[pid for work in works if (pid := work.stop())])
            for thread in threads:
                thread.join(timeout=30)
    _raise_first(works)
    tick([work.progress() for work in works], time.monotonic() - started)
    return [work.built() for work in works]


def _wait(threads: list[threading.Thread], seconds: float) -> None:
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(timeout=max(0.0, until - time.monotonic()) / len(threads))


def _raise_first(works: list[_Work]) -> None:
    # the one that failed by itself, not one that was stopped for it
    failed = [work.error for work in works if work.error is not None and not work.stopped]
    failed += [work.error for work in works if work.error is not None]
    if failed:
        raise failed[0]


@contextlib.contextmanager
def _environment(works: list[_Work], jobs: int) -> Iterator[job_pool.Pool | None]:
    """One pool for all where their ninja can share one; else each gets its part of the jobs."""
    shared = all(work.recipe.ninja and _ninja_shares(work.recipe) for work in works)
    if shared and len(works) > 1:
        with job_pool.pool(jobs, len(works)) as pool:
            for work in works:
                # torch passes -j only where MAX_JOBS is set, and -j would leave the pool unused
                work.env.pop("MAX_JOBS", None)
                work.env["MAKEFLAGS"] = pool.makeflags
            yield pool
        return
    for work in works:
        work.env["MAX_JOBS"] = str(max(1, jobs // len(works)))
    yield None


def _ninja_shares(recipe: Recipe) -> bool:
    """ninja 1.13 and newer are clients of make's jobserver."""
    done = process.run(["ninja", "--version"], env=recipe.env, check=False, timeout=20)
    parts = done.stdout.strip().split(".")
    return done.ok and parts[0].isdigit() and (int(parts[0]), int(parts[1])) >= (1, 13)


class _Work:
    """One running build. State: it changes while its thread runs."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.env = dict(recipe.env)
        self.error: MambaopsError | None = None
        self.stopped = False
        self.pid: int | None = None
        self.seconds = 0.0

    def run(self, pool: job_pool.Pool | None) -> None:
        recipe = self.recipe
        try:
            end_leftover(recipe.tree)
            shutil.rmtree(recipe.out, ignore_errors=True)
            argv: list[str | Path] = [
                recipe.python,
                "-u",
                "setup.py",
                "bdist_wheel",
                "--dist-dir",
                recipe.out,
            ]
            done = process.run(
                argv,
                cwd=recipe.tree,
                env=self.env,
                log=recipe.log,
                merge=True,
                on_start=self._started,
            )
            self.seconds = done.seconds
        except MambaopsError as error:
            self.error = error
        except OSError as error:
            self.error = MambaopsError(f"the build of {recipe.package} could not start: {error}")
        finally:
            self.pid = None
            with contextlib.suppress(OSError):
                (recipe.tree / GROUP_FILE).unlink()
            if pool is not None:
                with contextlib.suppress(OSError):
                    pool.release()

    def _started(self, pid: int) -> None:
        self.pid = pid
        started = psutil.Process(pid).create_time()
        (self.recipe.tree / GROUP_FILE).write_text(f"{pid} {started}\n", encoding="utf-8")

    def stop(self) -> int | None:
        """The id of its process, where it still runs: it is to be ended."""
        pid = self.pid
        self.stopped = self.stopped or pid is not None
        return pid

    def progress(self) -> Progress:
        found = units(self.recipe.tree)
        pids = [self.pid] if self.pid is not None else []
        return Progress(
            package=self.recipe.package,
            total=len(found),
            done=sum(unit.seconds is not None for unit in found),
            running=compiling(pids, [unit.source for unit in found]),
            units=found,
        )

    def built(self) -> Built:
        wheels = sorted(self.recipe.out.glob("*.whl"))
        if len(wheels) != 1:
            raise CommandFailed(
                f"the build of {self.recipe.package} ended well and left {len(wheels)} wheels",
                returncode=0,
                hint=f"the log is {self.recipe.log}",
            )
        made = [unit for unit in units(self.recipe.tree) if unit.seconds is not None]
        return Built(
            package=self.recipe.package,
            wheel=wheels[0],
            seconds=self.seconds,
            durations={unit.name: unit.seconds or 0.0 for unit in made},
            began={unit.name: unit.began or 0.0 for unit in made},
        )


def end_leftover(tree: Path) -> bool:
    """End the compilers that a killed run left behind in this tree; they would write into our objects."""
    try:
        pid, started = (tree / GROUP_FILE).read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return False
    leader_started = float(started)
    members = [
        one
        for one in psutil.process_iter(["pid", "create_time"])
        if _group(one.pid) == int(pid) and one.info["create_time"] >= leader_started - 1
    ]
    for one in members:
        with contextlib.suppress(psutil.Error):
            one.kill()
    psutil.wait_procs(members, timeout=10)
    return bool(members)


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except (ProcessLookupError, PermissionError):
        return -1
