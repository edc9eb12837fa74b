"""A machine's facts in the cells of a table. Pure."""

from __future__ import annotations

import collections

from mambaops.facts.model import Facts


def gpus(facts: Facts) -> str:
    """All of a machine's GPUs, those alike together, e.g. "8 × NVIDIA A800 80GB PCIe (8.0)"."""
    found = collections.Counter((gpu.name, gpu.compute_capability or "?") for gpu in facts.gpus)
    told = [f"{count} × {name} ({version})" for (name, version), count in found.items()]
    return ", ".join(told) or "none"


def driver(facts: Facts) -> str:
    """The driver and the newest CUDA that it runs, e.g. "535.104.12 (CUDA 12.2)"."""
    one = facts.driver
    told = f"{one.version} (CUDA {one.cuda or '?'})" if one.version else one.state
    return told if one.state == "ok" or not one.version else f"{told}, {one.state}"


def torch(facts: Facts) -> str:
    """The torch that the machine's Python has."""
    return facts.torch.version if facts.torch else "none"
