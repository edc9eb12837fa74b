"""All checks over one machine's facts; pure."""

from __future__ import annotations

from mambaops.doctor import compilers, hardware, packages, python, resources, toolkits
from mambaops.doctor.model import Check, Examiner
from mambaops.facts.model import Facts
from mambaops.profiles.model import Profile

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
    return [check for examiner in EXAMINERS for check in examiner(facts, profile)]


def exit_code(checks: list[Check]) -> int:
    """0 fine or warnings, 1 something fails that can be put right here, 4 this machine cannot."""
    failed = [check for check in checks if check.state == "failed"]
    if any(check.machine for check in failed):
        return 4
    return 1 if failed else 0
