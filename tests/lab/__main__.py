"""`nox -s lab`: a lab of bare systems behind real sshds, and everything that `mambaops fleet`, `index` and `export` promise.

Usage: lab [--pack FILE] [--no-torch] [--machines NAME…] [-- NAME…]

A row for each check; `NAME…` runs those alone, `--machines` makes only those that they need. --pack: a pack for 8.0 and 12.0 that `compile-kernels` made, else it is
compiled (minutes). --no-torch leaves out the bundle with a real torch. Needs root, debootstrap and OpenSSH; exit 0 where
everything is as wanted, or where no lab can be made (said; with CI set that is a failure).
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "newcomer"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import bare_system
from bare_system import NoBareSystem
from checks import CHECKS, Lab, Wrong
from machines import Machine, lab
from ssh_hosts import GPUS

CHECKOUT = Path(__file__).resolve().parents[2]


def machines() -> list[Machine]:
    """A 5090 with driver 570, an A800 with driver 535, one without a GPU, and one with an old Python."""
    return [
        Machine("5090", "trixie", gpu=GPUS["5090"], mambaops=True),
        Machine("a800", "bookworm", gpu=GPUS["a800"], mambaops=True),
        Machine("plain", "bookworm"),
        Machine("old", "bullseye"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="lab", usage=__doc__)
    parser.add_argument("names", nargs="*", choices=[*CHECKS, []])
    parser.add_argument("--pack", default="")
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--machines", nargs="*", default=[])
    words = parser.parse_args()
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(home) / "mambaops-newcomer"
    wrong = 0
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # what was mounted and linked is taken away
    try:
        bare_system.possible()
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="mambaops-lab-", dir=cache) as folder:
            every = [one for one in machines() if one.name in (words.machines or [one.name])]
            with lab(every, Path(folder), cache, CHECKOUT) as config:
                at = Lab(every, Path(folder), config, words.pack, torch=not words.no_torch)
                for name in words.names or CHECKS:
                    wrong += not _told(name, at)
    except NoBareSystem as error:
        print(f"no lab can be made here, so nothing was tried: {error}")
        return 1 if os.environ.get("CI") else 0
    print(f"lab: {wrong} wrong")
    return 1 if wrong else 0


def _told(name: str, at: Lab) -> bool:
    """What became of one check, told at once."""
    try:
        said = CHECKS[name](at)
    except Wrong as error:
        print(f"{name}: WRONG: {error}", flush=True)
        return False
    print(f"{name}: {said}", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
