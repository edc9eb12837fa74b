"""How long choosing takes: over every planned candidate, and what a person waits for at the prompt.

    python benchmarks/wheel_choice.py [--rounds 20] [--json]

Times are milliseconds, the median and the worst of the rounds: of CPU for what runs in this process, of the
clock for the whole command (which starts Python and reads the tables too).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mambaops.core import process
from mambaops.wheels.candidates import Candidate
from mambaops.wheels.names import PACKAGES
from mambaops.wheels.select.pair import pair_versions
from mambaops.wheels.select.selection import select
from mambaops.wheels.sources.listing import list_candidates, usual_sources

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))
from recorded import facts_of, path_of

# one where much fits, one where nothing does (nearest misses are worked out then), one refused at once
CASES = ("ubuntu20-graph-mamba", "debian10-a800", "windows-5090")


def timed(
    work: Callable[[], object], rounds: int, clock: Callable[[], float] = time.process_time
) -> tuple[float, float]:
    """(median, worst) in milliseconds."""
    found = []
    for _ in range(rounds):
        started = clock()
        work()
        found.append((clock() - started) * 1000)
    return statistics.median(found), max(found)


def measure(rounds: int) -> list[dict[str, object]]:
    few = max(3, rounds // 4)
    rows = [row for case in CASES for row in _case(case, rounds, few)]
    command = [sys.executable, "-m", "mambaops", "select-wheel", "--package", "mamba-ssm"]
    command += ["--facts", str(path_of(CASES[0])), "--json"]
    whole = timed(partial(process.run, command), few, time.perf_counter)
    return [*rows, _row(CASES[0], "the whole command", rows[0]["candidates"], *whole)]


def _case(case: str, rounds: int, few: int) -> list[dict[str, object]]:
    facts = facts_of(case)
    read = usual_sources(facts, store=Path("no-store"))
    both: dict[str, list[Candidate]] = {}
    rows = []
    for package in PACKAGES:
        started = time.process_time()
        both[package] = list_candidates(package, facts, read)
        listing = (time.process_time() - started) * 1000
        count = len(both[package])
        # the plans are multiplied out once per process: later cases find them done
        rows.append(_row(case, f"list {package}", count, listing, listing))
        times = timed(partial(select, package, facts, both[package]), rounds)
        rows.append(_row(case, f"select {package}", count, *times))
    everything = [one for package in PACKAGES for one in both[package]]
    times = timed(partial(pair_versions, facts, everything), few)
    return [*rows, _row(case, "pair_versions", len(everything), *times)]


def _row(
    case: str, what: str, candidates: object, median: float, worst: float
) -> dict[str, object]:
    return {
        "machine": case,
        "what": what,
        "candidates": candidates,
        "median_ms": round(median, 1),
        "worst_ms": round(worst, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(options.rounds)
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print(
            f"{row['machine']:24} {row['what']:32} {row['candidates']:6} candidates  "
            f"median {row['median_ms']:7} ms  worst {row['worst_ms']:7} ms"
        )


if __name__ == "__main__":
    main()
