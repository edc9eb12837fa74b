from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension

cmdclass = {}
cmdclass["build_ext"] = BuildExtension
setup(
    name="scan",
    ext_modules=[
        CUDAExtension(
            "scan_cuda",
            ["scan.cu"],
            extra_compile_args={
                "cxx": ["-O3", "-std=gnu++2a"],
                "nvcc": [
                    "-O3",
                    "-gencode",
                    "arch=compute_61,code=sm_61",
                    "-gencode",
                    "arch=compute_61,code=compute_61",
                    "--std=c++14",
                    "--threads",
                    "8",
                ],
            },
        ),
    ],
    cmdclass=cmdclass,
)
