"""Small real wheels, and a folder that serves them as an index."""

from __future__ import annotations

from bundles import made, offline, our_python_is_on_path, published
from commands import own_places
from exported import alone, proven, site
from small_wheels import index, make_wheel, no_pip_settings

__all__ = [
    "alone",
    "index",
    "made",
    "make_wheel",
    "no_pip_settings",
    "offline",
    "our_python_is_on_path",
    "own_places",
    "proven",
    "published",
    "site",
]
