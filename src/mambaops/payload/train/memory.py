"""How much memory there is, and how much was taken."""

from __future__ import annotations

import os
import sys

import torch


def peak_memory() -> float:
    """The most bytes of ordinary memory that this process has held; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)


def free_memory(device: torch.device) -> float:
    """Bytes that can be had on the device; infinite where nothing tells."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    if not os.path.exists("/proc/meminfo"):
        return float("inf")
    with open("/proc/meminfo", encoding="ascii") as file:
        lines = dict(line.split(":", 1) for line in file)
    return 1024.0 * float(lines["MemAvailable"].split()[0])
