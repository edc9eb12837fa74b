"""Small real wheels."""

from __future__ import annotations

from commands import own_places
from small_wheels import make_wheel

__all__ = ["make_wheel", "own_places"]
