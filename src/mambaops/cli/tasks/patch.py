"""Tasks that edit sources of others: patch-setup, patch-cpp-extension, strip-crlf, purge-cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mambaops.cli.confirm import HELP as CONFIRM
from mambaops.cli.confirm import confirm
from mambaops.cli.request import Request, planning_task
from mambaops.cli.run_step import undo_step
from mambaops.cli.task import Context, task
from mambaops.core.errors import UsageError

if TYPE_CHECKING:
    from mambaops.patching.options import SetupOptions

_SETUP_HELP = {
    "package": "what --source FOLDER holds: a package, or a package file",
    "ninja": "--no-ninja compiles file by file",
    "force-build": "--no-force-build lets setup.py look for a prebuilt wheel",
    "one-ptx": "all architectures from the lowest one's PTX: faster to build",
    "threads": "nvcc's --threads; 0 leaves upstream's",
    "nvcc": "nvcc release that will compile it; leaves out diffs that only newer ones need",
    "check": "only say whether it is patched so; exit 1 if not",
    "diff": "only show what would be changed",
    "revert": "put every byte back",
    "undo": "put every byte of the profile's sources back",
    "json": "print JSON",
}


@planning_task(
    "patch-setup",
    group="steps",
    examples=(
        'mambaops patch-setup mamba_ssm-2.3.2 --arch "8.0;9.0"',
        "mambaops patch-setup mamba_ssm-2.3.2 --revert",
    ),
    operand="source",
    help=_SETUP_HELP,
)
def patch_setup(
    request: Request,
    package: str = "",
    ninja: bool = True,
    force_build: bool = True,
    one_ptx: bool = False,
    threads: int = 0,
    nvcc: str = "",
    check: bool = False,
    diff: bool = False,
    revert: bool = False,
    undo: bool = False,
    json: bool = False,
) -> int:
    """Make a package's setup.py compile exactly what is asked.

    `--source FOLDER` is an unpacked source; without one (or with PACKAGE=PATH) the profile's sources are
    fetched. `--package` says what the folder holds, where its setup.py passes no -gencode itself. The first
    contents are kept: patching again starts from them, --revert restores them to the byte.
    """
    from mambaops.cli.patch_output import choose_mode, patch_folders
    from mambaops.cli.patch_profile import patch_profile

    if undo:
        undo_step(request, "patch-setup")
        return 0
    mode = choose_mode(check=check, diff=diff, revert=revert)
    folders = [Path(word) for word in request.source if "=" not in word or Path(word).exists()]
    if folders:
        options = _setup_options(request, package, ninja, force_build, one_ptx, threads)
        wanted = dict.fromkeys(folders, options)
        return patch_folders(wanted, nvcc or None, mode, as_json=json)
    _refuse_without_source(one_ptx=one_ptx, threads=bool(threads), no_force_build=not force_build)
    return patch_profile(request, ninja, nvcc or None, mode, as_json=json)


def _refuse_without_source(**given: bool) -> None:
    for name in (name for name, value in given.items() if value):
        raise UsageError(
            f"--{name.replace('_', '-')} goes with --source only",
            hint="without --source the profile tells how its packages are built",
        )


def _setup_options(
    request: Request, package: str, ninja: bool, force_build: bool, one_ptx: bool, threads: int
) -> SetupOptions:
    from mambaops.knowledge.packages import package as package_named
    from mambaops.patching.archs import parse_archs
    from mambaops.patching.options import SetupOptions
    from mambaops.patching.setup_py import standard_for_torch

    route = package_named(package).architectures.route if package else "flags"
    return SetupOptions(
        archs=parse_archs(request.arch) if request.arch else (),
        route=route,
        ninja=ninja,
        force_build=force_build,
        one_ptx=one_ptx,
        nvcc_threads=threads or None,
        cxx_standard=standard_for_torch(request.torch) if request.torch else None,
    )


_BOUNDS_HELP = {
    "python": "interpreter of an environment that has torch; or, for a profile, a Python version",
    "cuda": 'the CUDA release whose rows are missing, e.g. "11.8"',
    "file": "a cpp_extension.py itself",
    "gcc-max": "newest major version of gcc to let through, e.g. 13; never lowers a bound",
    "check": "only say whether the rows are there; exit 1 if not",
    "diff": "only show what would be changed",
    "revert": "put every byte back",
    "undo": "put the file of the profile's environment back to the byte",
    "json": "print JSON",
}


@planning_task(
    "patch-cpp-extension",
    group="steps",
    examples=(
        "mambaops patch-cpp-extension --cuda 11.8 --python .venv",
        "mambaops patch-cpp-extension --cuda 11.8 --check",
    ),
    help=_BOUNDS_HELP,
)
def patch_cpp_extension(
    request: Request,
    cuda: str = "",
    file: str = "",
    gcc_max: int = 0,
    check: bool = False,
    diff: bool = False,
    revert: bool = False,
    undo: bool = False,
    json: bool = False,
) -> int:
    """Add a CUDA release to a torch's compiler tables: the profile's torch, or one named.

    torch has no row for CUDA 11.8 in CUDA_GCC_VERSIONS and CUDA_CLANG_VERSIONS; and its bounds refuse
    compilers that nvcc takes (--gcc-max raises them).
    """
    from mambaops.cli.patch_output import choose_mode, patch_bounds
    from mambaops.cli.patch_profile import patch_torch_of

    if undo:
        undo_step(request, "patch-cpp-extension")
        return 0
    mode = choose_mode(check=check, diff=diff, revert=revert)
    if cuda or file or gcc_max or mode != "apply":
        return patch_bounds(request.python, file, cuda, gcc_max or None, mode, as_json=json)
    return patch_torch_of(request)


@task(
    name="strip-crlf",
    group="develop",
    examples=(
        "mambaops strip-crlf scripts --check",
        "mambaops strip-crlf a.sh b.sh",
    ),
    operand="path",
    further="also",
    positional=["path"],
    iterable=["also"],
    help={
        "path": "a file, or a folder with all that is in it",
        "also": "a further one; `mambaops strip-crlf A B C` is the same",
        "check": "write nothing; exit 1 if a file has Windows line ends",
    },
)
def strip_crlf(
    c: Context, path: str, also: list[str], check: bool = False, json: bool = False
) -> int:
    """Take Windows line ends out of scripts ($'\\r': command not found).

    Binaries, links and Windows' own scripts (.bat, .cmd, .ps1) are left alone; modes stay.
    """
    from mambaops.cli.patch_output import strip_files

    return strip_files([path, *also], check=check, as_json=json)


@task(
    name="purge-cache",
    group="system",
    examples=(
        "mambaops purge-cache",
        "mambaops purge-cache --json",
    ),
    needs={"yes": "all"},
    help={"all": "everything, of all packages: gigabytes to fetch again", "yes": CONFIRM},
)
def purge_cache(c: Context, all: bool = False, yes: bool = False, json: bool = False) -> int:
    """Take the CUDA packages out of the caches of pip and uv.

    So the next build is a build, and not "Using cached …whl" of another torch or GPU.
    """
    from mambaops.cli.patch_output import purge_caches

    if all:
        confirm("empty the caches of pip and uv, of all packages and projects", yes=yes)
    return purge_caches(everything=all, as_json=json)
