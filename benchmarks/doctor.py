"""The doctor beside what else describes a machine: `python benchmarks/doctor.py --python ENV/bin/python`.

`--python` is an environment with torch and accelerate. Each command is run `--runs` times; the first run (cold
caches) is shown apart.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time


def seconds(argv: list[str]) -> tuple[float, int]:
    """Wall time of one run and its exit status (the doctor's says what it found)."""
    started = time.perf_counter()
    done = subprocess.run(argv, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started, done.returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="interpreter with torch and accelerate")
    parser.add_argument("--runs", type=int, default=7)
    given = parser.parse_args()
    accelerate = "from accelerate.commands.accelerate_cli import main; main()"
    commands = {
        "mambaops doctor": [sys.executable, "-m", "mambaops", "doctor", "--python", given.python],
        "mambaops facts": [
            sys.executable,
            "-m",
            "mambaops",
            "facts",
            "--json",
            "--python",
            given.python,
        ],
        "torch.utils.collect_env": [given.python, "-m", "torch.utils.collect_env"],
        "accelerate env": [given.python, "-c", accelerate, "env"],
    }
    print(f"{'command':26} {'first':>7} {'median':>7} {'best':>7}  exit")
    for name, argv in commands.items():
        runs = [seconds(argv) for _ in range(given.runs)]
        times = [wall for wall, _ in runs]
        print(
            f"{name:26} {times[0]:7.2f} {statistics.median(times):7.2f} {min(times):7.2f}  {runs[-1][1]}",
            flush=True,
        )


if __name__ == "__main__":
    main()
