"""Building the wheels of a plan: environment of the build, checks of what came out, manifest, store.

A wheel counts as built when the architectures inside its extensions, read from the binary, are exactly the
wanted ones. A build that ends well and holds others is an error.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mambaops.core.errors import StepDidNotTake
from mambaops.facts.model import Compiler, Toolkit
from mambaops.wheels.inspect.elf import Extension, inspect_extension
from mambaops.wheels.keys import BuildKey

FORCE = {
    "MAMBA_FORCE_BUILD": "TRUE",
    "MAMBA_SKIP_CUDA_BUILD": "FALSE",
    # after 2.3.2 the kernels are opt-in
    "MAMBA_KEEP_CUDA_BUILD": "TRUE",
    "CAUSAL_CONV1D_FORCE_BUILD": "TRUE",
    "CAUSAL_CONV1D_SKIP_CUDA_BUILD": "FALSE",
}
# would change what is compiled behind the plan's back
DROPPED = (
    "TORCH_CUDA_ARCH_LIST",
    "NVCC_APPEND_FLAGS",
    "NVCC_PREPEND_FLAGS",
    "CFLAGS",
    "CXXFLAGS",
    "CPPFLAGS",
    "MAKEFLAGS",
    "MAKELEVEL",
    "PYTHONPATH",
    "PYTHONHOME",
)


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What a build compiles with. `launcher` is a compiler cache (`sccache`), or empty."""

    python: Path
    toolkit: Toolkit
    compiler: Compiler
    launcher: str = ""


def environment(
    base: Mapping[str, str],
    tools: Tools,
    key: BuildKey,
    *,
    extra: Mapping[str, str],
    link_object: Path | None,
) -> dict[str, str]:
    """The whole environment of one build, from the user's own and nothing hidden.

    Args:
        base: usually `os.environ`.
        extra: the profile's build variables; they win.
        link_object: put on every link line (see `portable`).
    """
    env = {name: value for name, value in base.items() if name not in DROPPED}
    home = Path(tools.toolkit.home)
    places = [str(tools.python.parent), str(home / "bin")]
    env["PATH"] = os.pathsep.join([*places, base.get("PATH", os.defpath)])
    env.update(FORCE)
    env.update(CUDA_HOME=str(home), LC_ALL="C", PYTHONNOUSERSITE="1", PYTHONUNBUFFERED="1")
    env.update(key.environment())
    env.update(_compilers(tools))
    if link_object is not None:
        env["LDFLAGS"] = " ".join(filter(None, [base.get("LDFLAGS", ""), str(link_object)]))
    env.update(extra)
    return env


def _compilers(tools: Tools) -> dict[str, str]:
    """CC and CXX where plain `g++` is not the one, and a compiler cache before everything."""
    found: dict[str, str] = {}
    if tools.compiler.name != "g++" or tools.launcher:
        cxx = tools.compiler.path
        cc = str(Path(cxx).with_name(Path(cxx).name.replace("g++", "gcc")))
        prefix = f"{tools.launcher} " if tools.launcher else ""
        # torch hands CC to nvcc as -ccbin, which takes no launcher
        found = {"CC": cc if Path(cc).exists() else cxx, "CXX": prefix + cxx}
    if tools.launcher:
        found["PYTORCH_NVCC"] = f"{tools.launcher} {tools.toolkit.nvcc}"
    return found


def with_local_version(wheel: Path, key: BuildKey) -> Path:
    """The wheel with the key's local version; rewritten where its setup.py knows no variable for it."""
    from mambaops.wheels.names import parse_build, parse_wheel_name
    from mambaops.wheels.rewrite import WheelRewriter

    if key.local_version() in wheel.name:
        return wheel
    renamed = replace(parse_wheel_name(wheel.name), build=parse_build(key.local_version()))
    target = wheel.with_name(str(renamed))
    with zipfile.ZipFile(wheel) as archive:
        said = [f"given the local version {key.local_version()}"]
        WheelRewriter(archive, wheel.name, renamed).write(target, replaced={}, added={}, said=said)
    return target


def extensions(wheel: Path) -> dict[str, Extension]:
    """Every compiled module inside a wheel, read without importing."""
    found: dict[str, Extension] = {}
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        for name in archive.namelist():
            if name.endswith(".so"):
                found[name] = inspect_extension(Path(archive.extract(name, folder)))
    return found


def check_architectures(
    package: str, found: Mapping[str, Extension], archs: tuple[str, ...]
) -> None:
    """The binaries hold machine code and PTX of exactly the wanted architectures.

    Raises:
        StepDidNotTake: no compiled module, or others than were asked for.
    """
    cubins = {arch.removesuffix("+PTX") for arch in archs}
    ptx = {arch.removesuffix("+PTX") for arch in archs if arch.endswith("+PTX")}
    if not found:
        raise StepDidNotTake(
            f"the wheel of {package} holds no compiled module",
            hint="its setup.py skipped the kernels: read the build log",
        )
    for name, extension in found.items():
        if set(extension.cubins) != cubins or set(extension.ptx) != ptx:
            raise StepDidNotTake(
                f"{name} holds machine code for {_listed(extension.cubins)} and PTX for "
                f"{_listed(extension.ptx)}; wanted were {_listed(cubins)} and {_listed(ptx)}",
                hint="setup.py was not patched as it should be, or a variable of the shell adds flags",
            )


def _listed(archs: Any) -> str:
    return ", ".join(sorted(archs)) or "none"
