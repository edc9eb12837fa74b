"""A small environment with modules that are imported and compiled modules that hold device code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from recorded import varied

from mambaops.facts.model import Facts

FATBINS = Path(__file__).resolve().parents[1] / "wheels" / "fatbins"
# the layout of PyModuleDef, so that Python's headers are not needed
MODULE = """
#include <gnu/libc-version.h>
struct base { long count; void *type; void *(*init)(void); long index; void *copy; };
struct def { struct base base; const char *name, *doc; long size; void *more[5]; };
static struct def whole = { { 1, 0, 0, 0, 0 }, "NAME", 0, -1, { 0 } };
extern void *PyModule_Create2(struct def *, int);
void *PyInit_NAME(void) { gnu_get_libc_version(); return PyModule_Create2(&whole, 1013); }
asm(".section .nv_fatbin,\\"a\\"\\n.balign 8\\n.incbin \\"FATBIN\\"\\n.previous\\n");
"""
# says what a file beside it holds, for each script of ours that it is to run
STAND_IN = """#!{python} -I
import json, os, pathlib, sys
here = pathlib.Path(__file__).parent
with (here / "calls.jsonl").open("a") as calls:
    print(json.dumps(sys.argv[1:]), file=calls)
with (here / "seen.jsonl").open("a") as seen:
    whole = dict(words=sys.argv[1:], folder=os.getcwd(), env=dict(os.environ), input=sys.stdin.read())
    print(json.dumps(whole), file=seen)
said = json.loads((here / "said.json").read_text())
out, err, status = said.get(pathlib.Path(sys.argv[1]).name, ["", "not expected: %s" % sys.argv[1:], 9])
if sys.argv[1] == "-m" and (here / "after.json").exists():
    (here / "after.json").rename(here / "said.json")
print(out, end="")
sys.stderr.write(err)
sys.exit(status)
"""


@cache
def _compiled(folder: Path, name: str, fatbin: str) -> Path:
    source, out = folder / f"{name}-{fatbin}.c", folder / f"{name}-{fatbin}.so"
    folder.mkdir(exist_ok=True)
    path = str(FATBINS / f"{fatbin}.fatbin")
    source.write_text(MODULE.replace("NAME", name).replace("FATBIN", path), encoding="utf-8")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", out, source], check=True)
    return out


class TargetEnvironment:
    """A virtual environment of our own; packages are added as files."""

    def __init__(self, folder: Path, shared: Path) -> None:
        self.folder, self.shared = folder, shared
        below = Path(getattr(sys, "_base_executable", sys.executable))
        self.site = folder / f"lib/python3.{sys.version_info[1]}/site-packages"
        self.site.mkdir(parents=True)
        (folder / "pyvenv.cfg").write_text(f"home = {below.parent}\n", encoding="utf-8")
        self.python = folder / "bin" / "python"
        self.python.parent.mkdir()
        self.python.symlink_to(below)
        self.packages: dict[str, dict[str, Any]] = {}

    def module(self, name: str, text: str = "") -> None:
        """A module of Python text."""
        (self.site / f"{name}.py").write_text(text, encoding="utf-8")

    def extension(self, name: str, fatbin: str) -> str:
        """A compiled module with device code; its file's name."""
        file = f"{name}.so"
        shutil.copy(_compiled(self.shared, name, fatbin), self.site / file)
        return file

    def package(self, name: str, version: str, extensions: list[str], **more: Any) -> None:
        """What the probe would say of a package."""
        path = str(self.site / name.replace("-", "_"))
        record = {"name": name, "version": version, "path": path, "extensions": extensions}
        self.packages[name] = {**record, **more}

    def whole(self, fatbin: str = "multi") -> None:
        """torch, and both packages as they should be."""
        self.module("torch", "__version__ = '2.14.1'")
        for package, version, binary, pure in (
            ("causal-conv1d", "1.7.0", "causal_conv1d_cuda", "causal_conv1d"),
            ("mamba-ssm", "2.3.2.post1", "selective_scan_cuda", "mamba_ssm"),
        ):
            self.module(pure, f"__version__ = {version!r}")
            self.package(package, version, [str(self.site / self.extension(binary, fatbin))])

    def facts(self, machine: str = "no-gpu") -> Facts:
        """The environment as the probe would see it, on a recorded machine."""
        place = {"prefix": str(self.folder), "executable": str(self.python), "kind": "venv"}
        return varied(machine, {"python": place, "packages": self.packages})

    def stand_in(self, said: Mapping[str, tuple[str, str, int]]) -> Path:
        """Another interpreter of it, that answers for our scripts: (output, errors, status) by their name."""
        (self.folder / "bin" / "said.json").write_text(json.dumps(said), encoding="utf-8")
        path = self.folder / "bin" / "stand-in"
        path.write_text(STAND_IN.format(python=sys.executable), encoding="utf-8")
        path.chmod(0o755)
        return path

    def take_over(self, said: Mapping[str, tuple[str, str, int]]) -> None:
        """The stand-in becomes the environment's interpreter."""
        self.python.unlink()
        self.stand_in(said).rename(self.python)

    def after_pip(self, said: Mapping[str, tuple[str, str, int]]) -> None:
        """What the stand-in says once pip has been called."""
        (self.folder / "bin" / "after.json").write_text(json.dumps(said), encoding="utf-8")

    def calls(self) -> list[list[str]]:
        """The words that the stand-in was called with."""
        return self._lines("calls.jsonl")

    def seen(self) -> list[dict[str, Any]]:
        """Each call with its `words`, the `folder` and the `env` that it was made in, and its `input`."""
        return self._lines("seen.jsonl")

    def _lines(self, name: str) -> list[Any]:
        file = self.folder / "bin" / name
        if not file.exists():
            return []
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
