"""Building the wheels of a plan: environment of the build, checks of what came out, manifest, store.

A wheel counts as built when the architectures inside its extensions, read from the binary, are exactly the
wanted ones. A build that ends well and holds others is an error.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from mambaops.core.errors import StepDidNotTake
from mambaops.facts.model import Compiler, Toolkit
from mambaops.knowledge.packages import Package
from mambaops.patching.archs import variables
from mambaops.wheels.inspect.elf import inspect_extension
from mambaops.wheels.inspect.extension import Extension
from mambaops.wheels.keys import BuildKey

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
    """What a build compiles with. `launcher` is a compiler cache (`sccache`), or empty.

    Attributes:
        headers: folder with Python.h where the interpreter's own lacks it, or empty.
    """

    python: Path
    toolkit: Toolkit
    compiler: Compiler
    launcher: str = ""
    headers: str = ""


def environment(
    base: Mapping[str, str],
    tools: Tools,
    package: Package,
    key: BuildKey,
    *,
    extra: Mapping[str, str],
    link_object: Path | None,
) -> dict[str, str]:
    """The whole environment of one build, from the user's own and nothing hidden.

    Args:
        base: usually `os.environ`.
        package: its switches, and how it is told the architectures of the key.
        extra: the profile's build variables; they win.
        link_object: put on every link line (see `portable`).
    """
    dropped = {*DROPPED, *package.build.drop}
    env = {name: value for name, value in base.items() if name not in dropped}
    home = Path(tools.toolkit.home)
    places = [str(tools.python.parent), str(home / "bin")]
    env["PATH"] = os.pathsep.join([*places, base.get("PATH", os.defpath)])
    env.update(package.build.env)
    env.update(variables(package.architectures, key.architectures))
    env.update(CUDA_HOME=str(home), LC_ALL="C", PYTHONNOUSERSITE="1", PYTHONUNBUFFERED="1")
    if package.build.local_version:
        env[package.build.local_version] = key.local_version()
    env.update(_compilers(tools))
    if tools.headers:
        # gcc, clang and nvcc (which asks gcc) all read it, after every -I
        env["CPATH"] = os.pathsep.join(filter(None, [tools.headers, base.get("CPATH", "")]))
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
    from mambaops.wheels.builds import parse_build
    from mambaops.wheels.names import parse_wheel_name
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
    package: Package, found: Mapping[str, Extension], archs: tuple[str, ...]
) -> None:
    """The binaries hold machine code and PTX of exactly the wanted architectures.

    Raises:
        StepDidNotTake: a compiled module is missing, or holds others than were asked for.
    """
    missing = missing_modules(package, found)
    if missing:
        raise StepDidNotTake(
            f"the wheel of {package.name} holds no compiled module {', '.join(missing)}",
            hint="its setup.py skipped the kernels: read the build log",
        )
    cubins = {arch.removesuffix("+PTX") for arch in archs}
    ptx = {arch.removesuffix("+PTX") for arch in archs if arch.endswith("+PTX")}
    for name, extension in found.items():
        if stem_of(name) in package.modules.host:
            continue
        if set(extension.cubins) != cubins or set(extension.ptx) != ptx:
            raise StepDidNotTake(
                f"{name} holds machine code for {_listed(extension.cubins)} and PTX for "
                f"{_listed(extension.ptx)}; wanted were {_listed(cubins)} and {_listed(ptx)}",
                hint="setup.py was not patched as it should be, or a variable of the shell adds flags; "
                "a module without GPU code belongs into `modules.host` of the package's file",
            )


def missing_modules(package: Package, found: Iterable[str]) -> list[str]:
    """Compiled modules that the package's file names and a wheel or an environment lacks."""
    stems = {stem_of(name) for name in found}
    modules = package.modules
    return [one for one in (*modules.kernels, *modules.host) if one not in stems]


def stem_of(name: str) -> str:
    """`torch_scatter/_scatter_cuda` of `torch_scatter/_scatter_cuda.cpython-311-x86_64-linux-gnu.so`."""
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.split(".")[0]


def _listed(archs: Any) -> str:
    return ", ".join(sorted(archs)) or "none"
