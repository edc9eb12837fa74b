"""The CUDA toolkit of a build: nvcc from the package index's wheels, and a CUDA_HOME made of links.

From CUDA 13 on the whole compiler is on the index. Two traps (both measured): the wheels do not pin each
other, so nvcc 13.0 alone brings nvvm 13.5, whose PTX its ptxas refuses: every one is pinned to one minor
version. And the wheels' folder lacks `lib64` and `libcudart.so`, so a folder of links makes the CUDA_HOME.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mambaops.core import process
from mambaops.core.errors import CommandFailed, MambaopsError
from mambaops.knowledge.toolkit_wheels import toolkit_wheels


def install(python: Path, cuda: str, home: Path, *, log: Path) -> Path:
    """Install the wheels into `python`'s environment, make `home` a CUDA_HOME, and return it.

    Raises:
        MambaopsError: the index has no such toolkit, or what came is not whole.
    """
    argv: list[str | Path] = [python, "-m", "pip", "install", "--no-input", *toolkit_wheels(cuda)]
    try:
        process.run(argv, env={**os.environ, "LC_ALL": "C"}, log=log, timeout=1800)
    except CommandFailed as error:
        raise MambaopsError(
            f"nvcc {cuda} could not be installed from the package index: {_last(error.output)}",
            hint=f"the whole log is {log}; an nvcc that you have is taken from CUDA_HOME",
        ) from error
    return link(python, home, cuda)


def _last(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else "no output"


def link(python: Path, home: Path, cuda: str) -> Path:
    """Make `home` a CUDA_HOME of links into the environment's wheels; replaced as a whole."""
    wheels = wheels_folder(python, cuda)
    aside = home.with_name(home.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    (aside / "lib64").mkdir(parents=True)
    for name in ("bin", "include", "nvvm"):
        (aside / name).symlink_to(wheels / name)
    for library in (wheels / "lib").iterdir():
        (aside / "lib64" / library.name).symlink_to(library)
    _link_cudart(aside / "lib64", wheels / "lib")
    shutil.rmtree(home, ignore_errors=True)
    aside.replace(home)
    check(home, cuda)
    return home


def wheels_folder(python: Path, cuda: str) -> Path:
    """`site-packages/nvidia/cu13` of an environment."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(process.run([python, "-c", code]).stdout.strip())
    return site / "nvidia" / f"cu{cuda.split('.')[0]}"


def _link_cudart(lib64: Path, source: Path) -> None:
    """The linker asks for `libcudart.so`; the wheel has only the numbered name."""
    for numbered in source.glob("libcudart.so.*"):
        plain = lib64 / "libcudart.so"
        if not plain.is_symlink():
            plain.symlink_to(numbered)


def check(home: Path, cuda: str) -> None:
    """Is this CUDA_HOME whole, and of one version?

    Raises:
        MambaopsError: something is missing, or its parts are of different versions.
    """
    wanted = [
        "bin/nvcc",
        "bin/ptxas",
        "nvvm/bin/cicc",
        "include/cuda_runtime.h",
        "lib64/libcudart.so",
    ]
    wanted.append("include/crt/host_config.h")
    missing = [name for name in wanted if not (home / name).exists()]
    if missing:
        raise MambaopsError(
            f"the toolkit at {home} is not whole: {', '.join(missing)} missing",
            hint="remove that folder and run the step again",
        )
    text = process.run([home / "bin" / "nvcc", "-V"], timeout=30).stdout
    if f"release {cuda}," not in text:
        raise MambaopsError(
            f"nvcc at {home} is not {cuda}: {text.strip().splitlines()[-1]}",
            hint="the environment holds another toolkit's wheels; recreate it",
        )
