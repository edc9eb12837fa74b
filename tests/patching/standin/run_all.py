"""Run many setup.py files in one process with the stand-ins, and say what each would have done.

stdin: JSON list of {"id", "path"}; stdout: JSON object id -> {"extensions", "ninja", "wheel"} or {"error"}.
The working folder holds a README.md, and a package folder beside each file, as a source tree does.
"""

import contextlib
import io
import json
import os
import sys
import urllib.request
import warnings
from pathlib import Path


class AskedForWheel(Exception):
    pass


def refuse(*arguments):
    raise AskedForWheel


def run(path):
    import setuptools
    from torch.utils import cpp_extension

    cpp_extension.EXTENSIONS.clear()
    setuptools.CALLS.clear()
    environment = dict(os.environ)
    names = {"__file__": path, "__name__": "__main__"}
    try:
        exec(compile(Path(path).read_text(encoding="utf-8"), path, "exec"), names)
    finally:
        os.environ.clear()
        os.environ.update(environment)
    (call,) = setuptools.CALLS
    return {
        "extensions": list(cpp_extension.EXTENSIONS),
        "ninja": call["cmdclass"]["build_ext"].options.get("use_ninja", True)
        if "build_ext" in call["cmdclass"]
        else None,
        "wheel": wheel(call["cmdclass"].get("bdist_wheel")),
    }


def wheel(command):
    """ "built" from source, or "asked" for a prebuilt one."""
    if command is None:
        return None
    try:
        return command().run()
    except AskedForWheel:
        return "asked"


def main():
    urllib.request.urlretrieve = refuse
    warnings.simplefilter("ignore")
    results = {}
    for item in json.load(sys.stdin):
        os.chdir(Path(item["path"]).parent)
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                results[item["id"]] = run(item["path"])
            except Exception as error:
                results[item["id"]] = {"error": f"{type(error).__name__}: {error}"}
    json.dump(results, sys.stdout)


main()
