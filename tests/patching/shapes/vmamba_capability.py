import os
import subprocess
import warnings

import torch
from packaging.version import Version, parse
from setuptools import setup
from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CUDAExtension
from wheel.bdist_wheel import bdist_wheel as _bdist_wheel

FORCE_CXX11_ABI = os.getenv("FORCE_CXX11_ABI", "FALSE") == "TRUE"


def get_compute_capability():
    capability = torch.cuda.get_device_capability(torch.device("cuda"))
    return int(str(capability[0]) + str(capability[1]))


def get_cuda_bare_metal_version(cuda_dir):
    words = subprocess.check_output([cuda_dir + "/bin/nvcc", "-V"], universal_newlines=True).split()
    return parse(words[words.index("release") + 1].split(",")[0])


def get_ext():
    flags = []
    if get_compute_capability() < 80:
        warnings.warn("bfloat16 needs compute capability 8.0", stacklevel=2)
    threads = True
    if CUDA_HOME is not None:
        bare_metal_version = get_cuda_bare_metal_version(CUDA_HOME)
        if bare_metal_version < Version("11.2"):
            threads = False
    flags.append(f"-arch=sm_{get_compute_capability()}")
    if threads:
        flags.extend(["--threads", "4"])
    return [
        CUDAExtension(
            name="selective_scan_cuda_oflex",
            sources=["oflex.cpp", "oflex.cu"],
            extra_compile_args={
                "cxx": ["-O3", "-std=c++17"],
                "nvcc": ["-O3", "-std=c++17"] + flags,
            },
        )
    ]


ext_modules = get_ext()
setup(
    name="selective_scan",
    ext_modules=ext_modules,
    cmdclass={"bdist_wheel": _bdist_wheel, "build_ext": BuildExtension},
)
