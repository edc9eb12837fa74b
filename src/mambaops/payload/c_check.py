"""Compile a module as Triton compiles the launcher of a kernel, and import it. Run by the target interpreter:

    python c_check.py [COMPILER]

Without COMPILER it is looked for as Triton looks: `CC`, which our kernels set where `mambaops install-cc` was
needed, gcc, clang. Prints one JSON object: `outcome`, `reason`,
`value` (the compiler).
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from typing import Dict

SOURCE = """#include <Python.h>
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "trial", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_trial(void) { return PyModule_Create(&definition); }
"""
SECONDS = 300  # zig translates its C library once, which takes a while on a slow disk


def compiler() -> str:
    """What Triton would take; "" where it finds none."""
    own = os.path.join(sys.prefix, "bin", "mambaops-cc")
    named = os.environ.get("CC") or (own if os.path.isfile(own) else "")
    return named or shutil.which("gcc") or shutil.which("clang") or ""


def check(found: str) -> Dict[str, str]:
    """Does `found` make a module that this interpreter imports?"""
    if not found:
        return {"outcome": "failed", "reason": "there is no C compiler", "value": ""}
    with tempfile.TemporaryDirectory() as folder:
        reason = _built(found, folder)
    outcome = "failed" if reason else "ok"
    return {"outcome": outcome, "reason": reason, "value": found}


def _built(found: str, folder: str) -> str:
    """Why not; "" where the module was compiled and imported."""
    source, module = os.path.join(folder, "trial.c"), os.path.join(folder, "trial.so")
    with open(source, "w", encoding="utf-8") as file:
        file.write(SOURCE)
    include = sysconfig.get_paths()["include"]
    argv = [found, source, "-O3", "-shared", "-fPIC", "-Wno-psabi", "-o", module, "-I" + include]
    try:
        done = subprocess.run(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    said = done.stdout.decode("utf-8", "replace")
    if done.returncode:
        errors = [line for line in said.splitlines() if "error" in line]
        return (errors or [said.strip() or "it ended with %d" % done.returncode])[0]
    return _imported(module)


def _imported(module: str) -> str:
    spec = importlib.util.spec_from_file_location("trial", module)
    assert spec is not None and spec.loader is not None
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except ImportError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    print(json.dumps(check(sys.argv[1] if len(sys.argv) > 1 else compiler())))
