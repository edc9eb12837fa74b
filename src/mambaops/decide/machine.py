"""Is this the machine that the profile is for, and is there room on it? Pure."""

from __future__ import annotations

from mambaops.decide.case import Case, Verdict, blocked, done
from mambaops.facts.model import Disk, Facts
from mambaops.profiles.model import Profile

GIB = 1024**3
# a torch with its CUDA libraries, the toolkit's wheels and both build trees (measured: 8.1 GiB)
DISK_NEEDED = 10 * GIB
CPU_DISK_NEEDED = 3 * GIB
# one nvcc for one architecture peaks near 2.5 GiB (flash-attention and these packages, measured)
MEMORY_NEEDED = 3 * GIB


def check_machine(case: Case) -> Verdict:
    """Is this the machine that the profile is for?"""
    misfits = mismatches(case.profile, case.facts)
    if not misfits:
        return done("this machine is what the profile expects")
    if case.flags.cross:
        return done("built here for another machine (--cross): " + "; ".join(misfits))
    return blocked(
        f"profile `{case.profile.name}` is for another machine: " + "; ".join(misfits),
        "run it there; or `--cross` to build its wheels here; or `--profile local` for this machine",
    )


def mismatches(profile: Profile, facts: Facts) -> list[str]:
    """What the profile expects and the machine is not, as found and wanted."""
    expect, host = profile.expect, facts.host
    found: list[str] = []
    if host.system != expect.system:
        found.append(f"the system is {host.system}, not {expect.system}")
    if expect.machine and host.machine not in expect.machine:
        found.append(f"the CPU is {host.machine}, not {' or '.join(expect.machine)}")
    if expect.wsl is not None and (host.wsl is not None) != expect.wsl:
        found.append("it is not WSL" if expect.wsl else "it is WSL")
    if expect.distribution and not _is_distribution(facts, expect.distribution):
        found.append(
            f"the distribution is {host.distribution.name or 'unknown'}, "
            f"not {' or '.join(expect.distribution)}"
        )
    found.extend(_gpu_mismatch(profile, facts))
    return found


def _is_distribution(facts: Facts, wanted: list[str]) -> bool:
    distribution = facts.host.distribution
    here = f"{distribution.id or ''} {distribution.version or ''}"
    return any((here + " ").startswith(one + " ") or here.startswith(one + ".") for one in wanted)


def _gpu_mismatch(profile: Profile, facts: Facts) -> list[str]:
    wanted = profile.expect.capability
    capabilities = {gpu.compute_capability for gpu in facts.gpus}
    if (profile.expect.gpu or wanted) and not facts.gpus:
        if facts.driver.state == "ok":
            return ["no GPU is visible"]
        return [f"no GPU is visible (driver: {facts.driver.state})"]
    if wanted and wanted not in capabilities:
        listed = ", ".join(f"{gpu.name} ({gpu.compute_capability or '?'})" for gpu in facts.gpus)
        return [f"the GPU is {listed}, not one of compute capability {wanted}"]
    return []


def check_space(case: Case) -> Verdict:
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
    memory = _memory(case.facts)
    if case.choice.kernels and memory is not None and memory < MEMORY_NEEDED:
        return blocked(
            f"{memory / GIB:.1f} GiB of memory, one nvcc needs about {MEMORY_NEEDED / GIB:.0f}",
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


def _memory(facts: Facts) -> int | None:
    limits = [facts.host.memory_total, facts.host.memory_limit]
    known = [one for one in limits if one is not None]
    return min(known) + (facts.host.swap_total or 0) if known else None
