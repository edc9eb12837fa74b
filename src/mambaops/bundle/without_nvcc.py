"""What a bundle carries where kernels need no compiler: Python parts, and `mambaops-kernels` with a stored pack or without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mambaops.bundle import index_files
from mambaops.core.errors import MachineError
from mambaops.core.paths import cache_dir
from mambaops.decide.case import Case
from mambaops.decide.runtime import packed, stored_pack, wanted_kernels, wanted_python_part
from mambaops.store.entries import stored

Say = Callable[[str], None]


def wheels(case: Case, names: tuple[str, ...], say: Say) -> list[Path]:
    """The wheels of packages whose kernels NVRTC compiles, and of the kernels.

    Raises:
        MachineError: kernels are wanted for GPUs that the other machine has not got, and no stored pack is for them.
        MambaopsError: sources that cannot be fetched.
    """
    kernels = _kernels(case, say)
    return [*(_python_part(case, name, say) for name in names), kernels]


def _python_part(case: Case, name: str, say: Say) -> Path:
    from mambaops.runtime.python_part import write_python_part
    from mambaops.runtime.releases import python_sources

    tree = python_sources(name, case.packages[name], index_files.sdists(say), given="")
    version = wanted_python_part(case, name)
    return write_python_part(case.described(name), version, tree, cache_dir() / "bundled")


def _kernels(case: Case, say: Say) -> Path:
    pack = stored_pack(case)
    if pack and stored(Path(pack.path)):
        say(f"kernels: {Path(pack.path).name}, from the store")
        return Path(pack.path)
    archs = ";".join(case.choice.archs)
    if packed(case):
        raise MachineError(
            f"there are no kernels for {archs} in the store, and that machine has no GPU to compile them for",
            hint=f'`mambaops compile-kernels --arch "{archs}" --output packs` makes them, here and without a GPU; '
            "or `--with-toolkit` carries sources and nvcc, to compile there",
        )
    say(
        "kernels: compiled there by torch's NVRTC when they are first used; "
        f'`mambaops compile-kernels --arch "{archs}" --output packs` would compile them beforehand'
    )
    return _without_pack(case, say)


def _without_pack(case: Case, say: Say) -> Path:
    from mambaops.runtime import nvidia_wheels
    from mambaops.runtime.identity import kernel_packages
    from mambaops.runtime.releases import kernel_source
    from mambaops.runtime.wheel import files_of, write_wheel

    sdists = index_files.sdists(say)
    sources = tuple(kernel_source(name, sdists) for name in kernel_packages())
    headers = nvidia_wheels.headers(case.choice.torch_cuda or "", index_files.wheels(say))
    local = wanted_kernels(case).partition("+")[2]
    return write_wheel(files_of(sources, headers), cache_dir() / "bundled", local=local)
