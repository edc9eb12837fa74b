"""`mambaops facts`, and the probe alone, against `python -m torch.utils.collect_env`, in one run.

    python benchmarks/facts.py [--rounds 5] [--json]

The three take turns, so that a busy machine slows all of them; the median of each counts. Both programs
look at the same interpreter: the one that runs this file, where torch must be installed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys

from mambaops.core import process
from mambaops.core.paths import payload_file

COMMANDS = {
    "mambaops facts": [sys.executable, "-m", "mambaops", "facts", "--json"],
    "probe.py alone": [sys.executable, str(payload_file("probe.py"))],
    "torch.utils.collect_env": [sys.executable, "-m", "torch.utils.collect_env"],
}


def measure(rounds: int) -> dict[str, list[float]]:
    """Wall-clock seconds of each command, `rounds` times, after one round that warms the disk cache."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name, argv in COMMANDS.items():
            done = process.run(argv, timeout=300)
            if number:
                seconds[name].append(done.seconds)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    seconds = measure(options.rounds)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ours, theirs = medians["mambaops facts"], medians["torch.utils.collect_env"]
    if options.json:
        print(json.dumps({"seconds": seconds, "median": medians, "ratio": theirs / ours}))
        return
    for name, values in seconds.items():
        print(f"{name:<26} {medians[name]:6.2f} s  ({min(values):.2f} to {max(values):.2f})")
    print(f"mambaops facts is {theirs / ours:.1f} times as fast")


if __name__ == "__main__":
    main()
