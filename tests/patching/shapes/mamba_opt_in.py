import os
import subprocess
import urllib.request

from packaging.version import Version, parse
from setuptools import setup
from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CUDAExtension
from wheel.bdist_wheel import bdist_wheel as _bdist_wheel

FORCE_BUILD = os.getenv("MAMBA_FORCE_BUILD", "FALSE") == "TRUE"
KEEP_CUDA_BUILD = os.getenv("MAMBA_KEEP_CUDA_BUILD", "FALSE") == "TRUE"
FORCE_CXX11_ABI = os.getenv("MAMBA_FORCE_CXX11_ABI", "FALSE") == "TRUE"

ext_modules = []


def append_nvcc_threads(nvcc_extra_args):
    return nvcc_extra_args + ["--threads", "4"]


if KEEP_CUDA_BUILD:
    cc_flag = []
    if CUDA_HOME is not None:
        words = subprocess.check_output([CUDA_HOME + "/bin/nvcc", "-V"], universal_newlines=True)
        bare_metal_version = parse(words.split()[words.split().index("release") + 1].split(",")[0])
    if bare_metal_version.major < 11:
        raise RuntimeError("CUDA 11 or newer")
    cc_flag.append("-gencode")
    cc_flag.append("arch=compute_80,code=sm_80")
    if bare_metal_version >= Version("12.8"):
        cc_flag.append("-gencode")
        cc_flag.append("arch=compute_120,code=sm_120")
    ext_modules.append(
        CUDAExtension(
            name="selective_scan_cuda",
            sources=["selective_scan.cpp", "selective_scan.cu"],
            extra_compile_args={
                "cxx": ["-O3", "-std=c++17"],
                "nvcc": append_nvcc_threads(["-O3", "-std=c++17"] + cc_flag),
            },
        )
    )


class CachedWheelsCommand(_bdist_wheel):
    def run(self):
        if FORCE_BUILD or not KEEP_CUDA_BUILD:
            return super().run()
        return urllib.request.urlretrieve("https://localhost/wheel", "wheel")


setup(
    name="mamba_ssm",
    ext_modules=ext_modules,
    cmdclass={"bdist_wheel": CachedWheelsCommand, "build_ext": BuildExtension},
)
