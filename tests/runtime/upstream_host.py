"""Upstream's own C++ (bindings and launchers) compiled against a recording stand-in for the CUDA runtime.

What is changed of it, all on a copy: kernels have no bodies (nothing runs them), and its checks that tensors are on a
GPU ask for the CPU. Run as a program: ``python upstream_host.py RELEASE-TREE PACKAGE NVCC-FOLDER OUT [LEVEL]``.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from mambaops.runtime.tokens import items

SHIMS = {
    "c10/cuda/CUDAGuard.h": "#pragma once\n#include <c10/core/Device.h>\nnamespace at { namespace cuda { "
    "struct CUDAGuard { explicit CUDAGuard(c10::Device) {} explicit CUDAGuard(char) {} }; } }\n",
    "c10/cuda/CUDAStream.h": "#pragma once\n#include <cuda_runtime.h>\nnamespace at { namespace cuda { struct Stream { "
    "cudaStream_t stream() const { return (cudaStream_t)0x77; } }; "
    "inline Stream getCurrentCUDAStream() { return {}; } } }\n",
    "c10/cuda/CUDAException.h": "#pragma once\n#define C10_CUDA_CHECK(x) (void)(x)\n#define C10_CUDA_KERNEL_LAUNCH_CHECK()\n",
    "ATen/cuda/Atomic.cuh": "#pragma once\n#include <c10/util/complex.h>\n",
}
FOLDERS = {"mamba-ssm": "csrc/selective_scan", "causal-conv1d": "csrc"}


def without_bodies(text: str) -> str:
    """Kernels and other device functions keep their heads; kernels get an empty body."""
    parts, position = [], 0
    for item in items(text):
        if "__global__" in item.code and "{" in item.code:
            brace = next(token for token in item.tokens if token.code and token.text == "{")
            parts += [text[position : brace.start], "{}"]
            position = item.end
    return "".join([*parts, text[position:]])


def build(tree: Path, package: str, cuda: Path, out: Path, level: str = "-O0") -> None:
    """Write the extension `out` (its stem is the module's name).

    Args:
        level: of the optimisation: what a call costs is measured with upstream's own, "-O3".
    """
    import torch
    from torch.utils import cpp_extension

    work = out.parent / f"{out.stem}-host"
    work.mkdir(parents=True, exist_ok=True)
    for name, text in SHIMS.items():
        (work / "shims" / name).parent.mkdir(parents=True, exist_ok=True)
        (work / "shims" / name).write_text(text)
    instances = []
    for path in (tree / FOLDERS[package]).iterdir():
        text = path.read_text().replace(".is_cuda()", ".is_cpu()")
        if path.suffix in (".cu", ".cuh"):
            text = without_bodies(text)
        (work / path.name).write_text(text)
        if path.suffix == ".cu" and "#include" in text and package == "mamba-ssm":
            instances += re.findall(r"^template void .*;$", text, re.MULTILINE)
    if package == "mamba-ssm":
        both = (
            '#include "selective_scan_fwd_kernel.cuh"\n#include "selective_scan_bwd_kernel.cuh"\n'
        )
        (work / "all.cu").write_text(both + "\n".join(instances) + "\n")
        kernels, binding = [work / "all.cu"], work / "selective_scan.cpp"
    else:
        kernels, binding = sorted(work.glob("causal_conv1d_*.cu")), work / "causal_conv1d.cpp"
    home = cuda / "nvidia/cu13"
    include = [work / "shims", work, *cpp_extension.include_paths(), sysconfig.get_path("include")]
    include += [home / "include", home / "include/cccl"]
    flags = [f"-I{folder}" for folder in include]
    flags += [
        f"-DTORCH_EXTENSION_NAME={out.stem}",
        "-DTORCH_API_INCLUDE_EXTENSION_H",
        "-std=c++20",
        "-w",
    ]
    objects = []
    for source in [binding, Path(__file__).with_name("recording_runtime.cpp")]:
        objects.append(work / f"{source.stem}.o")
        argv = ["g++", "-c", level, "-fPIC", *flags, source, "-o", objects[-1]]
        subprocess.run(argv, check=True)
    for source in kernels:
        objects.append(work / f"{source.stem}.o")
        options = ["-arch=sm_90", level, "-Xcompiler", "-fPIC,-w", "--expt-relaxed-constexpr"]
        options += ["--expt-extended-lambda", "-cudart", "none", "-c"]
        subprocess.run([home / "bin/nvcc", *options, *flags, source, "-o", objects[-1]], check=True)
    folder = Path(torch.__file__).parent / "lib"
    libraries = ["-ltorch_python", "-ltorch_cpu", "-ltorch", "-lc10", f"-Wl,-rpath,{folder}"]
    link = ["g++", "-shared", "-Wl,-Bsymbolic", *objects, f"-L{folder}", *libraries, "-o", out]
    subprocess.run(link, check=True)


if __name__ == "__main__":
    build(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), *sys.argv[5:])
