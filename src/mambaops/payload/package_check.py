"""Results of one package against a reference that its package file brings. Run by the target interpreter:

    python package_check.py NAME DEVICE < code

prints `{"id", "outcome", "reason", "value"}` as one line of JSON. The code raises where a result is wrong;
`torch` and `device` are there.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    name, device = sys.argv[1:3]
    # the folder of this script must not stand for an installed module
    sys.path.pop(0)
    import torch

    torch.manual_seed(0)
    value = torch.cuda.get_device_name(0) if device == "cuda" else device
    outcome, reason = "ok", ""
    try:
        exec(
            compile(sys.stdin.read(), "check of " + name, "exec"),
            {"torch": torch, "device": device, "__name__": "__main__"},
        )
    except Exception as error:  # whatever the package raises is the answer
        outcome, reason = "failed", "{}: {}".format(type(error).__name__, error)
    line = {
        "id": "results:{}:{}".format(name, device),
        "outcome": outcome,
        "reason": reason,
        "value": value,
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
