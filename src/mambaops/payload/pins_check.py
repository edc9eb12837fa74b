"""Is this environment the one that was pinned? Run by its own interpreter, in an image or from a notebook:

    python pins_check.py --python 3.11 --machine x86_64 --import torch --import mamba_ssm @pins.txt

`pins.txt` has a `name==version` a line. Prints what is not so, and what was looked at; ends with 1 where something differs.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Iterator, List, Optional

NO_GPU = "0 active drivers"  # Triton 3.0 to 3.2 look for one when a kernel is declared


def differences(pins: List[str]) -> Iterator[str]:
    """A line for each distribution that is not there, or not in its version."""
    for pin in pins:
        name, _, wanted = pin.partition("==")
        try:
            found = version(name)
        except PackageNotFoundError:
            yield "{} {} is not installed".format(name, wanted)
            continue
        if found != wanted:
            yield "{} is {}, and {} was proven".format(name, found, wanted)


def another_machine(python: str, machine: str) -> Iterator[str]:
    """Wheels are for one Python and one kind of processor."""
    found = "{}.{}".format(*sys.version_info[:2])
    if python and found != python:
        yield "this is Python {}, and the wheels are for {}".format(found, python)
    if machine and platform.machine() != machine:
        yield "this is {}, and the wheels are for {}".format(platform.machine(), machine)


def unloadable(modules: List[str]) -> Iterator[str]:
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever it raises is the answer
            if NO_GPU in str(error):
                print("import {}: not looked at: Triton asks for a GPU".format(name), flush=True)
                continue
            yield "import {}: {}: {}".format(name, type(error).__name__, error)


def main(words: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(fromfile_prefix_chars="@")
    parser.add_argument("--python", default="")
    parser.add_argument("--machine", default="")
    parser.add_argument("--import", dest="modules", action="append", default=[])
    parser.add_argument("pins", nargs="*")
    asked = parser.parse_args(words)
    # the folder of this script must not stand for an installed module
    sys.path.pop(0)
    wrong = [*another_machine(asked.python, asked.machine), *differences(asked.pins)]
    # a module of another version says nothing
    wrong += [] if wrong else unloadable(asked.modules)
    for line in wrong:
        print("not as it was proven: " + line, flush=True)
    if not wrong:
        count = "{} packages in their versions".format(len(asked.pins))
        print(", ".join([count, *("import " + name for name in asked.modules)]), flush=True)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
