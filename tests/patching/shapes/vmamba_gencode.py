import subprocess

from packaging.version import Version, parse
from setuptools import setup
from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CUDAExtension


def get_ext():
    flags = []
    gencode_sm90 = False
    if CUDA_HOME is not None:
        words = subprocess.check_output([CUDA_HOME + "/bin/nvcc", "-V"], universal_newlines=True)
        bare_metal_version = parse(words.split()[words.split().index("release") + 1].split(",")[0])
        if bare_metal_version >= Version("11.8"):
            gencode_sm90 = True
    flags.extend(["-gencode", "arch=compute_70,code=sm_70"])
    flags += ["-gencode=arch=compute_80,code=sm_80"]
    if gencode_sm90:
        # Hopper
        flags.extend(["-gencode", "arch=compute_90,code=sm_90"])
    elif False:
        flags.append("-arch=native")
    return [
        CUDAExtension(
            name=f"selective_scan_cuda_{mode}",
            sources=[f"{mode}.cu"],
            extra_compile_args={
                "cxx": ["/O2", "/std:c++17"],
                "nvcc": ["-std=c++17"] + flags + ["--threads=4"],
            },
        )
        for mode in ("core", "oflex")
    ]


commands = dict(build_ext=BuildExtension.with_options(no_python_abi_suffix=True))  # noqa: C408
setup(name="selective_scan", ext_modules=get_ext(), cmdclass=commands)
