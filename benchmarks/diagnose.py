"""How long `mambaops diagnose` takes by the length of the log: `python benchmarks/diagnose.py [--megabytes 1 10 100]`.

Ten kinds of log: a real build repeated (`build`), the same with a failure at its end (`failing`), warnings of which
none is like another (`warnings`), nothing but lines that look like several errors and are none, with other numbers
(`dense`) or with other words in each (`words`; `names` of warnings, `talk` of errors in any order, `rate` as training
prints it), progress bars in one line (`bars`), and one line with a failure in its middle (`line`). CPU time must grow
with the length and not faster.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

LOGS = Path(__file__).resolve().parent.parent / "tests" / "diagnose" / "logs"
FAILURE = "RuntimeError: mamba_ssm is only supported on CUDA 11.6 and above.\n"
WARNING = (
    '/x/pkg/file{}.cuh({}): warning #177-D: variable "v{}" was declared but never referenced\n'
)
DENSE = "/x/y.cpp:{}:4: note: error, undefined symbol: foo, No module named bar, RuntimeError not found\n"
WORDS = (
    "/x/{}.cpp:4: note: error, undefined symbol: {}, No module named {}, RuntimeError not found\n"
)
NAMES = "/x/{}.h:{}:4: warning: unused variable ‘error_{}’ [-Wunused-variable]\n"
RATE = "epoch {}: error rate 0.{} validation failed to improve over {}\n"
TALK = [
    "step",
    "loss",
    "error",
    "failed",
    "default",
    "exception",
    "Killed",
    "retry",
    "found",
    "torch",
    "import",
    "module",
    "undefined",
    "symbol",
    "cannot",
    "find",
    "timeout",
    "Exit",
    "not",
    "file",
    "directory",
    "such",
    "kernel",
    "build",
    "wheel",
    "package",
    "version",
    "skipping",
    "using",
    "cached",
    "fault",
]
KINDS = ["build", "failing", "warnings", "dense", "words", "names", "talk", "rate", "bars", "line"]
LETTERS = str.maketrans("0123456789", "ghijklmnop")


def piece(kind: str) -> Iterator[str]:
    """Text of this kind, for ever."""
    build = (LOGS / "success-cuda.log").read_text(encoding="utf-8")
    number = 0
    while True:
        number += 1
        rows = range(number * 1000, number * 1000 + 1000)
        if kind == "dense":
            yield "".join(DENSE.format(row) for row in rows)
        elif kind == "words":
            yield "".join(WORDS.format(*map(_word, range(row, row + 3))) for row in rows)
        elif kind == "names":
            yield "".join(NAMES.format(_word(row), row % 900, _word(row + 7)) for row in rows)
        elif kind == "rate":
            yield "".join(RATE.format(_word(row), row % 97, _word(row + 5)) for row in rows)
        elif kind == "talk":
            yield "".join(_talk(row) for row in rows)
        elif kind == "warnings":
            yield "".join(WARNING.format(row, row % 4000, row * 7919 % 1_000_003) for row in rows)
        elif kind == "line":
            yield "x" * 1_000_000
        elif kind == "bars":
            yield "".join(
                f"\r   {part / 10:.1f}% {number} MB/s eta 0:00:01" for part in range(1000)
            )
        else:
            yield build


def _word(number: int) -> str:
    """A word of letters, another one for each number."""
    return f"{number * 2654435761 % (1 << 32):08x}".translate(LETTERS)


def _talk(number: int) -> str:
    """Words of errors, in another order for each number; an aside, so that none of them is the first error."""
    draws = (number * 2654435761 >> shift for shift in range(0, 28, 2))
    return "note: " + " ".join(TALK[draw % len(TALK)] for draw in draws) + "\n"


def write(path: Path, kind: str, megabytes: int) -> None:
    left = megabytes * 1_000_000
    with path.open("w", encoding="utf-8", newline="") as file:
        for text in piece(kind):
            left -= file.write(text[:left])
            if left <= 0:
                break
        if kind == "failing":
            file.write("\n" + FAILURE)
        if kind == "line":
            file.write(" " + FAILURE.strip() + " " + "y" * 1_000_000)


def main() -> None:
    from mambaops.diagnose.explain import explain_log
    from mambaops.diagnose.rules import probes

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    given = parser.parse_args()
    started = time.perf_counter()
    count = len(probes())
    print(f"catalogue: {count} needles, loaded in {time.perf_counter() - started:.2f} s")
    print(f"{'kind':8} {'MB':>5} {'CPU s':>8} {'MB/s':>6}  findings")
    with tempfile.TemporaryDirectory() as folder:
        for kind in given.kinds:
            for megabytes in given.megabytes:
                log = Path(folder) / "log"
                write(log, kind, megabytes)
                started = time.process_time()
                found = explain_log(log).diagnosis.findings
                seconds = time.process_time() - started
                names = ", ".join(one.rule for one in found) or "none"
                print(
                    f"{kind:8} {megabytes:5} {seconds:8.2f} {megabytes / seconds:6.1f}  {names}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
