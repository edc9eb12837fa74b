"""What the slow proofs, which are programs, say of each thing that they look at."""

from __future__ import annotations

import sys


def check(good: bool, what: str) -> None:
    """Print it; end with 1 where it is not as it should be."""
    print(f"   {'ok' if good else 'FAILED'}: {what}", flush=True)
    if not good:
        sys.exit(1)
