"""A pack: kernels compiled beforehand for architectures that no GPU here has, by the target environment's NVRTC."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from mambaops.core import process
from mambaops.core.errors import CommandFailed, MambaopsError
from mambaops.core.paths import cache_dir
from mambaops.runtime.selection import Selection
from mambaops.runtime.wheel import PACKAGE, write_tree
from mambaops.wheels.inspect.pack import ASKED, Asked

MODULE = f"{PACKAGE}.packing"
# a kernel takes a second or two; a machine that is busy with other work, ten times as long
SECONDS = 4 * 3600.0


def compile_pack(
    files: Mapping[str, bytes],
    asked: Asked,
    selection: Selection,
    *,
    python: Path,
    jobs: int = 0,
    nvrtc: Path | None = None,
    log: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, bytes]:
    """Path in site-packages -> content: one file per kernel, and what was asked for. A kill loses none that was made.

    Args:
        files: of the distribution (`runtime.wheel.files_of`): the sources and the code that compiles.
        python: an interpreter, whose environment has an NVRTC of that CUDA, or `nvrtc` is given.
        jobs: processes at once; 0: one per core.
        nvrtc: a folder with NVRTC and the CUDA headers, instead of the environment's.

    Raises:
        MambaopsError: no NVRTC, an architecture that it makes no code for, or a kernel that does not compile.
    """
    words = [word for arch in asked.archs for word in ("--arch", arch)]
    words += ["--cuda", asked.cuda, *selection.words]
    folder = cache_dir() / "packs" / _digest(files, words)
    words += ["--folder", str(folder), *(["--jobs", str(jobs)] if jobs else [])]
    with tempfile.TemporaryDirectory(prefix="mambaops-pack-") as tree:
        write_tree(files, Path(tree))
        env = {**os.environ, "PYTHONPATH": tree, "PYTHONDONTWRITEBYTECODE": "1"}
        if nvrtc is not None:
            env["MAMBAOPS_NVRTC"] = str(nvrtc)
        _run([python, "-m", MODULE, *words], env, log, say)
    found = sorted(folder.glob("*.kernel"))
    made = {f"{PACKAGE}/pack/{path.name}": path.read_bytes() for path in found}
    return {ASKED: msgspec.json.encode(asked, order="deterministic") + b"\n", **made}


def _digest(files: Mapping[str, bytes], words: list[str]) -> str:
    """Of the sources and of what is compiled: one folder for each pack."""
    manifest = json.loads(files[f"{PACKAGE}/sources/manifest.json"])
    return hashlib.sha256(" ".join([manifest["digest"], *words]).encode()).hexdigest()[:24]


def _run(
    argv: list[str | Path], env: dict[str, str], log: Path | None, say: Callable[[str], None]
) -> None:
    said = [0]

    def tell(line: str) -> None:
        """Every quarter of the way."""
        try:
            state = json.loads(line)
            done, of = int(state["done"]), int(state["of"])
        except (ValueError, TypeError, KeyError):
            return
        if of and done * 4 // of > said[0]:
            said[0] = done * 4 // of
            say(f"kernels: {done} of {of} compiled")

    try:
        process.run(argv, env=env, log=log, timeout=SECONDS, on_line=tell)
    except CommandFailed as error:
        last = error.output.strip().splitlines() or [error.message]
        raise MambaopsError(
            f"the kernels could not be compiled: {last[-1]}",
            hint=f"the whole output is {log}; `--obtain source` builds with nvcc instead"
            if log
            else "`--obtain source` builds with nvcc instead",
        ) from error
