"""Compiles one program after the other for `packing.py`: a JSON job per line on stdin, the answers of `nvrtc.py`.

The library stays loaded, so that NVRTC keeps the compiled headers (`--pch` works within one process only).
"""

from __future__ import annotations

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from nvrtc import answer  # type: ignore


def main() -> None:
    """Answer until stdin ends; whatever the library prints goes to stderr."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        said, code = answer(json.loads(line))
        out.write(json.dumps(said).encode() + b"\n" + code)
        out.flush()


if __name__ == "__main__":
    main()
