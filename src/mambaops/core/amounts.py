"""Durations and sizes as people read them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """`8 s`, `3:07 min`, `1:02:11 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d} h"


def size(count: float) -> str:
    """`512 B`, `25.7 MB`, `5.5 GB` (decimal, as disks and downloads are sold)."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
