"""Small real wheels, and a folder that serves them as an index."""

from __future__ import annotations

from commands import own_places
from small_wheels import index, make_wheel, no_pip_settings

__all__ = ["index", "make_wheel", "no_pip_settings", "own_places"]
