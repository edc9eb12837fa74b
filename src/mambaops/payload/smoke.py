"""Import modules one after the other and say what happened. Run by the target interpreter:

    python smoke.py torch causal_conv1d_cuda selective_scan_cuda causal_conv1d mamba_ssm

prints one JSON object per line, as soon as it is known, so that a module that takes the interpreter down
with it is known by its missing line. torch is imported first: the extensions link to its libraries.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import traceback
from typing import Any, Dict


def check(name: str) -> Dict[str, Any]:
    """What importing `name` did: outcome, the true error, version, file, seconds."""
    started = time.time()
    try:
        module = importlib.import_module(name)
    except BaseException as error:  # a broken extension may raise anything
        return {
            "module": name,
            "outcome": "failed",
            "reason": "{}: {}".format(type(error).__name__, error),
            "traceback": traceback.format_exc()[-4000:],
        }
    return {
        "module": name,
        "outcome": "ok",
        "reason": "",
        "version": str(getattr(module, "__version__", "")),
        "file": str(getattr(module, "__file__", "")),
        "standin": bool(getattr(module, "__mambaops_standin__", False)),
        "seconds": round(time.time() - started, 3),
    }


def main() -> None:
    # the folder of this script must not stand for an installed module
    sys.path.pop(0)
    for name in sys.argv[1:]:
        print(json.dumps({"starting": name}), flush=True)
        print(json.dumps(check(name)), flush=True)


if __name__ == "__main__":
    main()
