"""What each instruction does, one family per module. Importing this package registers them all."""

from __future__ import annotations

from . import (
    arithmetic,
    atomics,
    bits,
    carries,
    comparisons,
    control,
    conversions,
    extremes,
    functions,
    moves,
    warps,
)

__all__ = [
    "arithmetic",
    "atomics",
    "bits",
    "carries",
    "comparisons",
    "control",
    "conversions",
    "extremes",
    "functions",
    "moves",
    "warps",
]
