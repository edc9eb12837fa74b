"""Where the environment keeps NVRTC and the CUDA headers. Reads folders; loads nothing."""

from __future__ import annotations

import glob
import os
import re
import sys
from typing import Iterator, List, NamedTuple, Optional, Tuple

from .errors import KernelError

Version = Tuple[int, int]
# libnvrtc-builtins.so.12.8, libnvrtc-builtins-1f2e3d.so.11.7, nvrtc-builtins64_128.dll
_BUILTINS = re.compile(r"(?:lib)?nvrtc-builtins(?:-\w+)?(?:\.so\.(\d+)\.(\d+)|64_(\d+)(\d)\.dll)$")
_LIBRARY = re.compile(r"(?:libnvrtc(?:-(?!builtins)\w+)?\.so\.[\d.]+|nvrtc64_\d+_\d+\.dll)$")


class Toolchain(NamedTuple):
    """One NVRTC with headers of its CUDA.

    Attributes:
        cuda: its version, (12, 8).
        library: full path of libnvrtc.
        builtins: full path of libnvrtc-builtins.
        include: folders with `cuda_fp16.h` and `cuda_bf16.h`, perhaps none.
    """

    cuda: Version
    library: str
    builtins: str
    include: Tuple[str, ...]


def find(cuda: Optional[str]) -> Toolchain:
    """The NVRTC of this environment, best that of torch's own CUDA.

    Args:
        cuda: torch.version.cuda, "12.8"; None where torch has none.

    Raises:
        KernelError: there is none; the message lists where it was looked for.
    """
    wanted = _version(cuda)
    found: List[Toolchain] = []
    looked = list(dict.fromkeys(_folders()))
    for libraries, include in looked:
        found += _in_folder(libraries, include)
    if not found:
        raise KernelError(
            "no NVRTC was found, so no kernel can be compiled; it was looked for in "
            + ", ".join(folder for folder, _ in looked)
            + f". Install it: pip install {_package(wanted)} (or name a folder: MAMBAOPS_NVRTC=…)"
        )
    return max(found, key=lambda one: _fitness(one, wanted))


def _fitness(one: Toolchain, wanted: Optional[Version]) -> Tuple[bool, bool, bool]:
    return (
        wanted is not None and one.cuda == wanted,
        wanted is not None and one.cuda[0] == wanted[0],
        bool(one.include),
    )


def _version(text: Optional[str]) -> Optional[Version]:
    match = re.match(r"(\d+)\.(\d+)", text or "")
    return (int(match[1]), int(match[2])) if match else None


def _package(wanted: Optional[Version]) -> str:
    if wanted is None or wanted[0] >= 13:
        return "nvidia-cuda-nvrtc nvidia-cuda-runtime"
    return f"nvidia-cuda-nvrtc-cu{wanted[0]} nvidia-cuda-runtime-cu{wanted[0]}"


def _folders() -> Iterator[Tuple[str, Tuple[str, ...]]]:
    """(folder of libraries, folders of headers), in order of preference."""
    own = os.environ.get("MAMBAOPS_NVRTC")
    if own:
        for libraries in (own, *_below(own, "lib"), *_below(own, "bin")):
            yield libraries, tuple(_below(own, "include"))
        return
    for site in _sites():
        yield from _of_site(site)
    headers = (
        os.path.join(sys.prefix, "include"),
        *glob.glob(os.path.join(sys.prefix, "targets", "*", "include")),
        os.path.join(sys.prefix, "Library", "include"),
    )
    yield os.path.join(sys.prefix, "lib"), headers
    yield os.path.join(sys.prefix, "Library", "bin"), headers
    for home in (os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"):
        if home:
            yield os.path.join(home, "lib64"), (os.path.join(home, "include"),)
            yield os.path.join(home, "bin"), (os.path.join(home, "include"),)


def _below(folder: str, name: str) -> List[str]:
    patterns = [os.path.join(folder, *stars, name) for stars in ((), ("*",), ("nvidia", "*"))]
    return sorted(path for pattern in patterns for path in glob.glob(pattern))


def _sites() -> Iterator[str]:
    torch = sys.modules.get("torch")
    if torch is not None and getattr(torch, "__file__", None):
        yield os.path.dirname(os.path.dirname(os.path.abspath(str(torch.__file__))))
    for path in sys.path:
        if path.rstrip("/\\").endswith(("site-packages", "dist-packages")):
            yield path


def _of_site(site: str) -> Iterator[Tuple[str, Tuple[str, ...]]]:
    headers = tuple(
        os.path.join(site, "nvidia", name, "include") for name in ("cu13", "cuda_runtime")
    )
    for name in ("cu13", "cuda_nvrtc"):
        for libraries in ("lib", "bin", os.path.join("bin", "x86_64")):
            yield os.path.join(site, "nvidia", name, libraries), headers
    yield os.path.join(site, "torch", "lib"), headers


def _in_folder(folder: str, include: Tuple[str, ...]) -> List[Toolchain]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    # "alt" is a second build of the same library, for programs that load two
    libraries = [name for name in names if _LIBRARY.match(name) and ".alt." not in name]
    found = []
    for name in names:
        match = _BUILTINS.match(name)
        if match is None or ".alt." in name or not libraries:
            continue
        version = (int(match[1] or match[3]), int(match[2] or match[4]))
        library = os.path.join(folder, _of_major(libraries, version[0]))
        headers = tuple(one for one in include if _cuda_of(one) == version[0])
        found.append(Toolchain(version, library, os.path.join(folder, name), headers[:1]))
    return found


def _of_major(libraries: List[str], major: int) -> str:
    fitting = [name for name in libraries if re.search(rf"(?:\.so\.|64_){major}", name)]
    return (fitting or libraries)[0]


def _cuda_of(folder: str) -> int:
    """The CUDA major that headers belong to, 0 where there are none for kernels."""
    if not os.path.isfile(os.path.join(folder, "cuda_bf16.h")):
        return 0
    try:
        with open(os.path.join(folder, "cuda.h"), encoding="utf-8", errors="replace") as text:
            match = re.search(r"#define CUDA_VERSION (\d+)", text.read())
    except OSError:
        return 0
    return int(match[1]) // 1000 if match else 0
