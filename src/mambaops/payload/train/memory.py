"""How much memory there is, and how much was taken."""

from __future__ import annotations

import sys

import torch


def peak_memory() -> float:
    """The most bytes of ordinary memory that this process has held; 0 where the system does not tell."""
    noted = _noted("/proc/self/status", "VmHWM")
    if noted:
        return noted
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    # on Linux this would count what the process was before it became this program
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)


def resident_memory() -> float:
    """Bytes of ordinary memory that this process holds now (at its highest, where the system tells no more)."""
    return _noted("/proc/self/status", "VmRSS") or peak_memory()


def _noted(path: str, name: str) -> float:
    """`Name:   12 kB` of a file of the kernel's, in bytes; 0 where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = dict(line.split(":", 1) for line in file if ":" in line)
    except OSError:
        return 0.0
    return 1024.0 * float(lines[name].split()[0]) if name in lines else 0.0


def free_memory(device: torch.device) -> float:
    """Bytes that can be had on the device; infinite where nothing tells."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return _noted("/proc/meminfo", "MemAvailable") or float("inf")
