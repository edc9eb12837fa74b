"""What the first moments of a command cost, beside `uv --version` and bare Python: milliseconds of CPU time.

    python benchmarks/cli.py [COMMAND ...]   e.g. `python benchmarks/cli.py facts plan`; default: all of them

CPU time (user and system, children included) of warm runs, the median of several: a busy machine does not change
it much. Each command runs in an empty folder with caches of its own, also for Python's bytecode: where this program
runs under PYTHONDONTWRITEBYTECODE, every run would compile what a user's machine compiles once.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MAMBAOPS = [sys.executable, "-m", "mambaops"]
GOALS = {"--list": 100, "facts": 200, "plan": 250, "doctor": 300}
RUNS = 9


def used(argv: list[str], folder: Path) -> tuple[float, float]:
    """CPU and wall-clock milliseconds of one run."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    env = {**os.environ, "MAMBAOPS_CACHE": str(folder / "cache")}
    env = {**env, "PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run(argv, cwd=folder, env=env, capture_output=True, check=False)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - started
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1000 * cpu, 1000 * wall


def measured(argv: list[str], folder: Path) -> tuple[float, float]:
    """Median CPU and lowest wall-clock milliseconds of warm runs."""
    used(argv, folder)
    runs = [used(argv, folder) for _ in range(RUNS)]
    return statistics.median(cpu for cpu, _ in runs), min(wall for _, wall in runs)


def rows(names: list[str]) -> dict[str, list[str]]:
    found = {"python -c pass": [sys.executable, "-c", "pass"]}
    if uv := shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}"):
        found["uv --version"] = [uv, "--version"]
    return found | {f"mambaops {name}": [*MAMBAOPS, *name.split()] for name in names}


def main() -> None:
    names = sys.argv[1:] or ["--version", *GOALS, "plan --help", "profiles", "steps"]
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'':24} {'CPU ms':>8} {'wall ms':>8}   goal")
        for name, argv in rows(names).items():
            cpu, wall = measured(argv, Path(folder))
            goal = GOALS.get(name.removeprefix("mambaops "), "")
            print(f"{name:24} {cpu:8.0f} {wall:8.0f}   {goal}")


if __name__ == "__main__":
    main()
