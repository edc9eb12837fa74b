"""The C compiler that `mambaops install-cc` puts into an environment, for Triton: it asks `CC` at its first kernel."""

from __future__ import annotations

import os
import sys


def tell_triton() -> None:
    """Name it in `CC` of this process, where the user names no other; without `install-cc` nothing is there."""
    own = os.path.join(sys.prefix, "bin", "mambaops-cc")
    if "CC" not in os.environ and os.path.isfile(own):
        os.environ["CC"] = own
