"""Profiles whose packages are compiled by nvcc or found ready-made: what most tests of these strategies are about."""

from __future__ import annotations

import msgspec

from mambaops.profiles.load import load_profile
from mambaops.profiles.model import Profile


def compiled(name: str) -> Profile:
    """A profile without the strategy `runtime`, which leaves nothing to compile."""
    profile = load_profile(name)
    later = [one for one in profile.obtain if one != "runtime"]
    return msgspec.structs.replace(profile, obtain=later)
