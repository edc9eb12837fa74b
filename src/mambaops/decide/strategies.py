"""How the packages may be obtained, in which order. Pure."""

from __future__ import annotations

from mambaops.decide.situation import Flags
from mambaops.profiles.model import Profile


def strategy_order(profile: Profile, flags: Flags) -> tuple[str, ...]:
    """How the packages may be obtained, in order."""
    return flags.obtain or tuple(profile.obtain)


def prebuilt_comes_first(profile: Profile, flags: Flags, archs: tuple[str, ...]) -> bool:
    """Do prebuilt wheels come first, so that the torch is taken for which there are some?

    Kernels that torch compiles itself need no wheel; for a list of one's own nobody makes any.
    """
    order = strategy_order(profile, flags)
    if "prebuilt" not in order or flags.arch or flags.source or not archs:
        return False
    before = order[: order.index("prebuilt")]
    return "source" not in before and "runtime" not in before
