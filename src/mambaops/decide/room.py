"""Whether a machine has the memory for one compiler: one judgement, for the plan and for the doctor. Pure."""

from __future__ import annotations

from mambaops.facts.model import Facts

GIB = 1024**3
# one nvcc for one architecture peaks near 2.5 GiB (flash-attention and these packages, measured)
MEMORY_NEEDED = 3 * GIB


def memory_in_all(facts: Facts) -> int | None:
    """Bytes of memory, no more than the container's limit, and swap; None where nobody knows."""
    limits = [facts.host.memory_total, facts.host.memory_limit]
    known = [one for one in limits if one is not None]
    return min(known) + (facts.host.swap_total or 0) if known else None


def too_little_memory(facts: Facts) -> str:
    """Why not even one compiler can run; "" where one can, or nobody knows."""
    memory = memory_in_all(facts)
    if memory is None or memory >= MEMORY_NEEDED:
        return ""
    return f"{memory / GIB:.1f} GiB of memory, one nvcc needs about {MEMORY_NEEDED / GIB:.0f}"
