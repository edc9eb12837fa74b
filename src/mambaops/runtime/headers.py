"""The headers of CCCL (CUB and libcu++) that the kernels can reach, out of the two thousand that there are."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from pathlib import Path

from mambaops.core.errors import MambaopsError

# what upstream's kernel files and our prelude include of it
ROOTS = (
    "cub/block/block_load.cuh",
    "cub/block/block_store.cuh",
    "cub/block/block_scan.cuh",
    "cub/block/block_reduce.cuh",
    "cub/block/block_raking_layout.cuh",
    "cub/config.cuh",
    "cub/util_ptx.cuh",
    "cub/util_type.cuh",
    "cuda/std/cstddef",
    "cuda/std/cstdint",
    "cuda/std/type_traits",
    "cuda/std/utility",
)
# of CUDA's own headers, what the prelude includes
CUDA_ROOTS = ("cuda_fp16.h", "cuda_bf16.h")
_INCLUDE = re.compile(
    r"^[ \t]*#[ \t]*include[ \t]*(?:_CCCL_\w+\()?[<\"]([^>\"]+)[>\"]", re.MULTILINE
)
# Thrust's macros for the headers of the device's and of the host's side
_SYSTEM = re.compile(r"__THRUST_(?:DEVICE|HOST)_SYSTEM_ROOT/([\w./]+)")
_SYSTEMS = ("thrust/system/cuda", "thrust/system/cpp")


def closure(include: Path, roots: Iterable[str] = ROOTS) -> dict[str, bytes]:
    """Path -> content of the roots and of everything that they include, under whatever condition.

    Raises:
        MambaopsError: the folder does not hold them.
    """
    pending, found = list(roots), dict[str, bytes]()
    if not (include / pending[0]).is_file():
        raise MambaopsError(
            f"{include} holds no {pending[0]}: it is no include folder of {'CUDA' if roots == CUDA_ROOTS else 'CCCL'}",
            hint="unpack the wheel nvidia-cuda-cccl (CUDA 13) or nvidia-cuda-cccl-cu12 and name its include folder",
        )
    while pending:
        name = pending.pop()
        if name in found or name.startswith("../"):
            continue
        path = include / name
        if not path.is_file():
            continue  # the compiler's own, the host library's, or the CUDA headers'
        found[name] = path.read_bytes()
        text = found[name].decode("utf-8", "replace")
        for included in _INCLUDE.findall(text):
            # no `..` in a wheel's names
            beside = posixpath.join(posixpath.dirname(name), included)
            pending += [posixpath.normpath(included), posixpath.normpath(beside)]
        pending += [f"{system}/{part}" for part in _SYSTEM.findall(text) for system in _SYSTEMS]
    return found
