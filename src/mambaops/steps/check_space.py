"""Is there room on the disk and in memory for what is about to happen?"""

from __future__ import annotations

from mambaops.decide.case import Case
from mambaops.decide.packages import compiles
from mambaops.decide.room import GIB, too_little_memory
from mambaops.decide.verdict import Verdict, blocked, done
from mambaops.facts.model import Disk, Facts
from mambaops.steps.step import Step

# a torch with its CUDA libraries, the toolkit's wheels and both build trees (measured: 8.1 GiB)
DISK_NEEDED = 10 * GIB
CPU_DISK_NEEDED = 3 * GIB


def assess(case: Case) -> Verdict:
    """Is there room on the disk and in memory for what is about to happen?"""
    wanted = DISK_NEEDED if case.choice.kernels else CPU_DISK_NEEDED
    disk = _disk(case.facts)
    if disk is not None and not disk.writable:
        return blocked(
            f"{disk.path} cannot be written to", "set MAMBAOPS_HOME to a folder of your own"
        )
    half_done = case.target is not None and case.target.torch is not None
    if disk is not None and disk.free is not None and disk.free < wanted and not half_done:
        return blocked(
            f"{disk.path} has {disk.free / GIB:.1f} GiB free, {wanted / GIB:.0f} are needed",
            "make room, or put `.mambaops` elsewhere: `export MAMBAOPS_HOME=/big/disk/mambaops`",
        )
    if compiles(case) and (why := too_little_memory(case.facts)):
        return blocked(
            why,
            "add swap (WSL: `memory=` in .wslconfig), or build on another machine with --cross",
        )
    return done("room enough")


def _disk(facts: Facts) -> Disk | None:
    """The disk that environments and builds go to."""
    for why in ("asked for", "environments and builds", "working folder"):
        for disk in facts.host.disks:
            if disk.why == why:
                return disk
    return None


STEP = Step(
    id="check-space",
    help="Is there room on the disk and in memory?",
    assess=assess,
    after=("check-machine",),
)
