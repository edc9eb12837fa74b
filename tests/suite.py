"""Run pytest, and what failed beside all the others once more, by itself.

Usage: python tests/suite.py [PYTEST'S WORDS…]

On a busy machine a test may fail for what ran beside it. One that passes alone is named all the same: both runs end
with pytest's own summary. Exit: pytest's, of the last run.
"""

from __future__ import annotations

import subprocess
import sys

FAILED = 1  # pytest's exit code where tests ran and some failed
MANY = 5  # so many are no accident: the second run ends there
AGAIN = ["--last-failed", "--last-failed-no-failures", "none", "--maxfail", str(MANY)]
SAID = "what failed is run once more, by itself; what passes now failed for what ran beside it"


def pytest(*words: str) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *words], check=False).returncode


def alone(words: list[str]) -> list[str]:
    """The same words without those that spread tests over processes."""
    found = iter(words)
    return [word for word in found if not (word in ("-n", "--dist") and next(found, None))]


def main(words: list[str]) -> int:
    code = pytest(*words)
    if code != FAILED:
        return code
    print(f"== {SAID}", flush=True)
    return pytest(*alone(words), *AGAIN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
