import os
import sys

from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension

parts = ["cuda"] if os.getenv("FORCE_ONLY_CUDA") == "1" else ["cpu"]


def extensions():
    found = []
    for name in ("basis", "weights"):
        for part in parts:
            flags = {"cxx": ["-O2"]}
            if sys.platform == "darwin":
                flags["cxx"] += ["-arch", "arm64"]
            sources = [f"csrc/{name}.cpp"]
            if part == "cuda":
                flags["nvcc"] = ["-O2", "--expt-relaxed-constexpr", "-std=c++17"]
                sources += [f"csrc/cuda/{name}.cu"]
            Extension = CppExtension if part == "cpu" else CUDAExtension
            found.append(Extension(f"splines._{name}_{part}", sources, extra_compile_args=flags))
    return found


setup(
    name="splines",
    ext_modules=extensions(),
    cmdclass={"build_ext": BuildExtension.with_options(no_python_abi_suffix=True, use_ninja=False)},
)
