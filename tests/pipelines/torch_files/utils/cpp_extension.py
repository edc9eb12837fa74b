"""Stand-in for torch.utils.cpp_extension: compiles with ninja or file by file, refuses nvcc of another major."""

import os
import re
import subprocess
import sysconfig
import warnings
from pathlib import Path

import torch
from setuptools import Extension
from setuptools.command.build_ext import build_ext

ROOT = Path(torch.__file__).parent
MINIMUM_GCC_VERSION = (5, 0, 0)
MINIMUM_CLANG_VERSION = (3, 3, 0)
CUDA_GCC_VERSIONS = {
    "11.6": (MINIMUM_GCC_VERSION, (12, 0)),
    "11.7": (MINIMUM_GCC_VERSION, (12, 0)),
    "12.1": (MINIMUM_GCC_VERSION, (13, 0)),
    "12.8": (MINIMUM_GCC_VERSION, (15, 0)),
    "13.0": (MINIMUM_GCC_VERSION, (16, 0)),
}
CUDA_CLANG_VERSIONS = {
    "11.6": (MINIMUM_CLANG_VERSION, (14, 0)),
    "11.7": (MINIMUM_CLANG_VERSION, (14, 0)),
}
CUDA_HOME = os.environ.get("CUDA_HOME")
HIP_HOME = None
ROCM_HOME = None


def include_paths(*_):
    return [str(ROOT / "include")]


def check_versions(compiler):
    said = subprocess.check_output([CUDA_HOME + "/bin/nvcc", "--version"], text=True)
    cuda = re.search(r"release (\d+[.]\d+)", said).group(1)
    if cuda.split(".")[0] != torch.version.cuda.split(".")[0]:
        raise RuntimeError(
            f"The detected CUDA version ({cuda}) mismatches the version that was used to compile "
            f"PyTorch ({torch.version.cuda}). Please make sure to use the same CUDA versions."
        )
    if cuda not in CUDA_GCC_VERSIONS:
        warnings.warn(
            f"There are no {compiler} version bounds defined for CUDA version {cuda}", stacklevel=1
        )
        return
    _, max_excl_compiler_version = CUDA_GCC_VERSIONS[cuda]
    found = subprocess.check_output([compiler, "-dumpfullversion", "-dumpversion"], text=True)
    if int(found.split(".")[0]) >= max_excl_compiler_version[0]:
        raise RuntimeError(
            f"The current installed version of {compiler} ({found}) is too new for CUDA {cuda}"
        )


def CUDAExtension(name, sources, *arguments, **more):
    if CUDA_HOME is None:
        raise OSError(
            "CUDA_HOME environment variable is not set. Please set it to your CUDA install root."
        )
    more.setdefault("libraries", []).extend(["c10", "torch", "torch_python", "cudart"])
    more.setdefault("library_dirs", []).extend([str(ROOT / "lib"), CUDA_HOME + "/lib64"])
    return Extension(name, sources, *arguments, language="c++", **more)


def CppExtension(name, sources, *arguments, **more):
    return Extension(name, sources, *arguments, language="c++", **more)


class BuildExtension(build_ext):
    """Compiles each file by its kind; the link is setuptools' own."""

    use_ninja = True

    @classmethod
    def with_options(cls, use_ninja=True, **_):
        return type("BuildExtension", (cls,), {"use_ninja": use_ninja})

    def build_extension(self, extension):
        check_versions(os.environ.get("CXX", "g++").split()[-1])
        # what C++ links does not differ from C here: the modules are plain C
        extension.language = None
        flags = extension.extra_compile_args
        self.commands = {}

        def compile(sources, output_dir=None, **_):
            objects = []
            for source in sources:
                target = Path(output_dir, source).with_suffix(".o").absolute()
                target.parent.mkdir(parents=True, exist_ok=True)
                objects.append(str(target))
                self.commands[str(target)] = self.command(
                    extension, str(Path(source).absolute()), flags
                )
            run = self.with_ninja if self.use_ninja else self.one_by_one
            run(Path(output_dir).absolute())
            return objects

        self.compiler.compile = compile
        super().build_extension(extension)

    def command(self, extension, source, flags):
        includes = [f"-I{one}" for one in [*extension.include_dirs, sysconfig.get_path("include")]]
        if source.endswith(".cu"):
            nvcc = [CUDA_HOME + "/bin/nvcc", "-c", source, *includes]
            return source, [*nvcc, *flags["nvcc"]] + arch_flags(flags["nvcc"])
        cxx = os.environ.get("CXX", "g++").split()
        return source, [*cxx, "-fPIC", "-x", "c", "-w", "-c", source, *includes]

    def one_by_one(self, folder):
        for target, (_, words) in self.commands.items():
            print(" ".join(words), flush=True)
            subprocess.run([*words, "-o", target], check=True)

    def with_ninja(self, folder):
        lines = ["ninja_required_version = 1.3"]
        for kind in ("compile", "cuda_compile"):
            lines += [f"rule {kind}", "  command = $words -o $out"]
        for target, (source, words) in self.commands.items():
            kind = "cuda_compile" if source.endswith(".cu") else "compile"
            command = " ".join(word.replace("$", "$$") for word in words)
            lines += [f"build {target}: {kind} {source}", f"  words = {command}"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "build.ninja").write_text("\n".join(lines) + "\n")
        jobs = ["-j", os.environ["MAX_JOBS"]] if os.environ.get("MAX_JOBS") else []
        try:
            subprocess.run(["ninja", "-v", *jobs], cwd=folder, check=True)
        except subprocess.CalledProcessError as error:
            raise RuntimeError("Error compiling objects for extension") from error


def arch_flags(flags):
    """As torch does: nothing of its own as soon as a flag mentions an architecture."""
    if any("arch" in flag for flag in flags):
        return []
    listed = os.environ.get("TORCH_CUDA_ARCH_LIST") or "7.5"
    names = [arch.replace(".", "") for arch in listed.split(";")]
    return [f"-gencode=arch=compute_{name},code=sm_{name}" for name in names]
