"""What an environment holds of the two kernel modules: printed as JSON by its own python.

Run by path (stdlib only); imports neither torch nor the modules themselves, except in a process of
their own to see whether a real one works.
"""

from __future__ import annotations

import glob
import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
from typing import Any, Dict, Optional

MODULES = ("selective_scan_cuda", "causal_conv1d_cuda")
DISTRIBUTIONS = ("torch", "mamba-ssm", "causal-conv1d", "mambaops-fallback")
# what mamba_ssm imports besides; asked by module, since triton comes under several names
NEEDED = ("triton", "einops", "transformers")
MARKER = "__mambaops_standin__"


def look(try_import: bool = True) -> Dict[str, Any]:
    """purelib, versions, what is missing for mamba_ssm, and per module: file, whether it is a stand-in, the error of importing it
    (left out, as None, without `try_import`)."""
    return {
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "purelib": sysconfig.get_paths()["purelib"],
        "versions": {name: _version(name) for name in DISTRIBUTIONS},
        "missing": [name for name in NEEDED if importlib.util.find_spec(name) is None],
        "modules": _modules(try_import),
    }


def _version(distribution: str) -> Optional[str]:
    import importlib.metadata

    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _modules(try_import: bool) -> Dict[str, Optional[Dict[str, Any]]]:
    found = {name: _module(name) for name in MODULES}
    present = {name: one for name, one in found.items() if one and not one["error"]}
    # torch takes seconds to import: one by one only if not all at once
    if try_import and present and _import_error(", ".join(present)):
        for name, one in present.items():
            one["error"] = _import_error(name)
    return found


def _module(name: str) -> Optional[Dict[str, Any]]:
    spec = importlib.util.find_spec(name)
    if spec is None:
        return _unfit_file(name)
    path = spec.origin or ""
    return {"file": path, "standin": _is_standin(path), "error": None}


def _unfit_file(name: str) -> Optional[Dict[str, Any]]:
    """An extension that this python does not even look at, e.g. one built for another version."""
    for folder in sys.path:
        for path in sorted(glob.glob(os.path.join(folder, name + "*.so"))):
            error = "it was built for another Python than " + sys.version.split()[0]
            return {"file": path, "standin": False, "error": error}
    return None


def _is_standin(path: str) -> bool:
    if not path.endswith(".py"):
        return False
    with open(path, encoding="utf-8", errors="replace") as source:
        return MARKER in source.read()


def _import_error(names: str) -> Optional[str]:
    """The last line of the traceback of importing torch and the modules; None if that works."""
    done = subprocess.run(
        [sys.executable, "-c", f"import torch, {names}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=120,
        cwd=sysconfig.get_paths()["purelib"],
        check=False,
    )
    if done.returncode == 0:
        return None
    if done.returncode < 0:
        return f"importing it crashes with signal {-done.returncode}"
    return (done.stderr.strip().splitlines() or ["?"])[-1]


if __name__ == "__main__":
    # the folder of this file holds modules with the very names that are looked for
    sys.path.pop(0)
    print(json.dumps(look(try_import="--no-import" not in sys.argv)))
