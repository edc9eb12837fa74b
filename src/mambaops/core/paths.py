"""Where the data files lie: beside the package in a wheel, at the top of the checkout otherwise."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
CHECKOUT = PACKAGE.parent.parent


def data_dir(name: str) -> Path:
    """The folder `env_profiles` or `patches`, wherever this installation keeps it."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else CHECKOUT / name


def payload_file(*parts: str) -> Path:
    """A file under `payload/`, to be handed to the target interpreter by path."""
    return PACKAGE.joinpath("payload", *parts)


def state_dir() -> Path:
    """`.mambaops` in the working folder (or `MAMBAOPS_HOME`): environments, builds and runs."""
    return Path(os.environ.get("MAMBAOPS_HOME") or Path.cwd() / ".mambaops").absolute()


def cache_dir() -> Path:
    """The user's cache: downloads and the wheel store (`MAMBAOPS_CACHE` overrides it)."""
    return Path(os.environ.get("MAMBAOPS_CACHE") or _user_cache()).absolute()


def _user_cache() -> str:
    if sys.platform == "linux":  # platformdirs says the same, after 5 ms of imports
        named = os.environ.get("XDG_CACHE_HOME", "").strip()
        return f"{named or Path('~/.cache').expanduser()}/mambaops"
    import platformdirs

    return platformdirs.user_cache_dir("mambaops")
