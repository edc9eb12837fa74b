"""Is this the machine that the profile is for?"""

from __future__ import annotations

from mambaops.decide.case import Case
from mambaops.decide.environment import glibc_of
from mambaops.decide.verdict import Verdict, blocked, done
from mambaops.facts.model import Facts
from mambaops.profiles.model import Profile
from mambaops.steps.step import Step

IN_GLIBC = 'work in a container with glibc, e.g. `docker run -it --gpus all -v "$PWD:/work" -w /work ubuntu:22.04`'


def assess(case: Case) -> Verdict:
    """Is this the machine that the profile is for?"""
    if case.facts.host.system == "Linux" and glibc_of(case.facts) is None:
        name = case.facts.host.distribution.name or "this system"
        return blocked(f"{name} has no glibc (musl?), and torch is built for glibc alone", IN_GLIBC)
    misfits = _mismatches(case.profile, case.facts)
    if not misfits:
        return done("this machine is what the profile expects")
    if case.flags.cross:
        return done("built here for another machine (--cross): " + "; ".join(misfits))
    return blocked(
        f"profile `{case.profile.name}` is for another machine: " + "; ".join(misfits),
        "run it there; or `--cross` to build its wheels here; or `--profile local` for this machine",
    )


def _mismatches(profile: Profile, facts: Facts) -> list[str]:
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


STEP = Step(
    id="check-machine",
    help="Is this the machine that the profile is for?",
    assess=assess,
)
