"""A proven environment as a notebook (nbformat 4): its cells install the pins and look whether they are there. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from mambaops.bundle.export import Exported, about, pins_text, pip_options
from mambaops.bundle.export_proof import Proof, check_words

MADE = "made by `mambaops export --notebook`"

_FIRST = """# what was pinned, and a way to run Python's own programs with this notebook's interpreter
import os, pathlib, subprocess, sys

PINS = '''\\
{pins}'''.split()


def run(*words):
    argv = [sys.executable, *words]
    with subprocess.Popen(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as done:
        for line in done.stdout:
            print(line, end="")
    if done.returncode:
        raise RuntimeError("it ended with %d: the lines above say why" % done.returncode)

"""
_INSTALL = """# {modules} must not be loaded yet: start the kernel anew where it is
if set({loaded}) & set(sys.modules):
    raise RuntimeError("restart the kernel: what is to be installed is loaded already")
run("-m", "pip", "install", "--no-deps", *{options}, *PINS)
"""
_CHECK = """# every version, and that it loads
CHECK = {program}
run("-c", CHECK, *{words}, *PINS)
"""
_RESULTS = """# the results of the kernels against a reference: needs the GPU
import torch

RESULTS = {program}
if torch.cuda.is_available():
    run("-c", RESULTS)
else:
    print("not run: no GPU here")
"""


def to_notebook(found: Exported, proof: Proof) -> str:
    """The file's text. Wheels of `Exported.places` that are folders lie beside it, in those folders."""
    cells = [
        _words(_title(found)),
        _code(_first(found)),
        _code(_install(found, proof)),
        _code(_CHECK.format(program=_literal(proof.check), words=check_words(found, proof))),
        *(_code(_RESULTS.format(program=_literal(text))) for text in proof.results.values()),
    ]
    for cell in cells:  # nbformat 4.5 wants one for each
        cell["id"] = hashlib.sha256(json.dumps(cell).encode()).hexdigest()[:16]
    language = {"name": "python", "version": found.python}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": language},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _title(found: Exported) -> str:
    first, *more = about(found)
    beside = "Keep the folder `wheels` beside this notebook, and start it there. "
    carried = any(option == "--find-links" for option, _ in pip_options(found))
    tail = f"{beside if carried else ''}Run the cells in order. ({MADE})"
    return "\n\n".join([f"# {first}", *more, tail])


def _first(found: Exported) -> str:
    text = _FIRST.format(pins=pins_text(found))
    return text + "".join(
        f"os.environ.setdefault({name!r}, {value!r})\n" for name, value in found.env.items()
    )


def _install(found: Exported, proof: Proof) -> str:
    options = [word for option in pip_options(found) for word in option]
    modules = [*proof.modules]
    return _INSTALL.format(modules=", ".join(modules), loaded=modules, options=options)


def _literal(program: str) -> str:
    """A program as a text in a cell, to be read by people where that is possible."""
    return f"r'''{program}'''" if "'''" not in program else repr(program)


def _words(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code(text: str) -> dict[str, Any]:
    lines = text.strip("\n").splitlines(keepends=True)
    return {
        "cell_type": "code",
        "metadata": {},
        "source": lines,
        "outputs": [],
        "execution_count": None,
    }
