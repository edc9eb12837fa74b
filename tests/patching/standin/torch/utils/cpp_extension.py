"""Stand-in for torch.utils.cpp_extension: it records what would reach the compilers."""

import os

CUDA_HOME = os.environ.get("CUDA_HOME")
HIP_HOME = None
EXTENSIONS = []


def _get_cuda_arch_flags(cflags):
    """As torch does: nothing of its own as soon as a flag mentions an architecture."""
    if any("arch" in flag for flag in cflags):
        return []
    listed = os.environ.get("TORCH_CUDA_ARCH_LIST") or "7.5"
    names = [arch.replace(".", "") for arch in listed.split(";")]
    return [f"-gencode=arch=compute_{name},code=sm_{name}" for name in names]


def CUDAExtension(name, sources, extra_compile_args, **rest):
    if CUDA_HOME is None:
        raise OSError(
            "CUDA_HOME environment variable is not set. Please set it to your CUDA install root."
        )
    nvcc = list(extra_compile_args["nvcc"])
    EXTENSIONS.append(
        {
            "name": name,
            "cxx": list(extra_compile_args["cxx"]),
            "nvcc": nvcc + _get_cuda_arch_flags(nvcc),
        }
    )
    return name


CppExtension = CUDAExtension


class BuildExtension:
    options = {}  # noqa: RUF012

    @classmethod
    def with_options(cls, **options):
        return type("BuildExtension", (cls,), {"options": {**cls.options, **options}})
