"""`mambaops-kernels` as a wheel: one file for every torch, Python, C++ ABI, glibc and processor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mambaops.core import paths
from mambaops.runtime.identity import BASE as VERSION
from mambaops.runtime.installation import tree_of_sources
from mambaops.runtime.kernel_files import KernelSource, parts_of
from mambaops.runtime.origins import OPTIONAL_MODULES
from mambaops.wheels.inspect.pack import KERNELS as NAME
from mambaops.wheels.pure import write_pure_wheel

PACKAGE = "mambaops_kernels"
_METADATA = """Metadata-Version: 2.1
Name: {name}
Version: {version}
Summary: selective_scan_cuda and causal_conv1d_cuda without a compiler: kernels compiled by NVRTC when they are first used
License: MIT AND Apache-2.0 AND BSD-3-Clause AND Apache-2.0 WITH LLVM-exception
Requires-Python: >=3.8
"""


def files_of(
    sources: tuple[KernelSource, ...],
    cccl: Mapping[str, Path],
    pack: Mapping[str, bytes] | None = None,
) -> dict[str, bytes]:
    """Path in site-packages -> content, without the dist-info.

    Args:
        sources: the releases that kernels are taken from, one per package.
        cccl: "cccl12" (CUDA 11 and 12) and "cccl13" -> include folder of that CCCL; "cuda11" of CUDA 11.
        pack: kernels compiled beforehand, file name -> content (`mambaops_kernels.compiler.pack_name`).

    Raises:
        UnknownShape: sources that are not built as any known release's.
    """
    modules = {part.module for one in sources for part in parts_of(one)}
    absent = [f"{name}/" for name in OPTIONAL_MODULES if name not in modules]
    own = {path: one for path, one in _own().items() if not path.startswith(tuple(absent))}
    files = {**own, **_pytorch()}
    for path, content in tree_of_sources(sources, cccl).items():
        files[f"{PACKAGE}/sources/{path}"] = content
    for name, content in (pack or {}).items():
        files[f"{PACKAGE}/pack/{name}"] = content
    return files


def write_wheel(files: Mapping[str, bytes], folder: Path, *, local: str = "") -> Path:
    """Write the wheel, whole or not at all; the same content gives the same bytes.

    Args:
        local: local version, "cu128.sm120" for a pack of compiled kernels.
    """
    version = f"{VERSION}+{local}" if local else VERSION
    metadata = _METADATA.format(name=NAME, version=version)
    tops = sorted({path.partition("/")[0] for path in files})
    more = {"top_level.txt": "".join(f"{one}\n" for one in tops).encode()}
    return write_pure_wheel(PACKAGE, version, metadata, files, folder, more=more)


def write_tree(files: Mapping[str, bytes], folder: Path) -> Path:
    """The same files as a folder, for `PYTHONPATH`."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def _own() -> dict[str, bytes]:
    """What `payload/kernels` holds: two module packages and the one that they stand on."""
    top = paths.payload_file("kernels")
    found = sorted(path for path in top.rglob("*") if path.is_file())
    return {
        path.relative_to(top).as_posix(): path.read_bytes()
        for path in found
        if "__pycache__" not in path.parts and path.suffix != ".pyc"
    }


def _pytorch() -> dict[str, bytes]:
    """The scan for CPU tensors."""
    sources = sorted(paths.payload_file("scan").glob("*.py"))
    return {f"{PACKAGE}/pytorch/{path.name}": path.read_bytes() for path in sources}
