"""All checks over one machine's facts; pure."""

from __future__ import annotations

import msgspec

from mambaops.core.errors import MambaopsError
from mambaops.decide.case import make_case
from mambaops.decide.packages import compiles
from mambaops.decide.situation import elsewhere
from mambaops.doctor import compilers, hardware, packages, python, resources, toolkits
from mambaops.doctor.model import Check, Examiner
from mambaops.facts.model import Facts
from mambaops.profiles.model import Profile

# beside the areas of nvcc and the host compiler
FOR_NVCC = ("memory-low", "python-headers-missing")
EXAMINERS: tuple[Examiner, ...] = (
    hardware.driver,
    hardware.gpu,
    toolkits.toolkit,
    compilers.compiler,
    python.python,
    python.torch,
    packages.packages,
    resources.disk_and_memory,
    resources.network,
    hardware.wsl,
    resources.models,
)


def examine(facts: Facts, profile: Profile | None = None) -> list[Check]:
    """Everything that would fail later, in the order of the areas.

    Args:
        profile: what the machine should become; without one only what is true of every build is checked.
    """
    found = [check for examiner in EXAMINERS for check in examiner(facts, profile)]
    return found if profile is None or _compiles(facts, profile) else [_eased(one) for one in found]


def _compiles(facts: Facts, profile: Profile) -> bool:
    """Does the profile compile with nvcc on this machine? Where nobody can tell, it may."""
    try:
        return compiles(make_case(profile, elsewhere(profile.name, facts)))
    except MambaopsError:
        return True


def _eased(check: Check) -> Check:
    """What only a source build needs is no failure where torch's NVRTC compiles the kernels."""
    for_nvcc = check.area in ("toolkit", "compiler") or check.id in FOR_NVCC
    if check.state != "failed" or not for_nvcc:
        return check
    what = f"{check.what}; only `--obtain source` needs it"
    return msgspec.structs.replace(check, state="warning", what=what)


def exit_code(checks: list[Check]) -> int:
    """0 fine or warnings, 1 something fails that can be put right here, 4 this machine cannot."""
    failed = [check for check in checks if check.state == "failed"]
    if any(check.machine for check in failed):
        return 4
    return 1 if failed else 0
