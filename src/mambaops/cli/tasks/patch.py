"""Tasks that edit sources of others: patch-setup, patch-cpp-extension, strip-crlf, purge-cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from invoke import Context

from mambaops.cli.door import task

if TYPE_CHECKING:
    from mambaops.patching.options import SetupOptions

_SETUP_HELP = {
    "source": "unpacked source folder; without it the profile's two sources are fetched",
    "arch": 'GPU architectures, e.g. "8.0;9.0+PTX"; without it upstream\'s own list stays',
    "ninja": "--no-ninja compiles file by file",
    "force-build": "--no-force-build lets setup.py look for a prebuilt wheel",
    "one-ptx": "all architectures from the lowest one's PTX: faster to build",
    "threads": "nvcc's --threads; 0 leaves upstream's",
    "torch": "torch release that it is built against: raises the C++ standard where torch demands it",
    "nvcc": "nvcc release that will compile it; leaves out diffs that only newer ones need",
    "check": "only say whether it is patched so; exit 1 if not",
    "diff": "only show what would be changed",
    "revert": "put every byte back",
    "profile": "whose sources to fetch",
}


@task(name="patch-setup", help=_SETUP_HELP)
def patch_setup(
    c: Context,
    source: str = "",
    arch: str = "",
    ninja: bool = True,
    force_build: bool = True,
    one_ptx: bool = False,
    threads: int = 0,
    torch: str = "",
    nvcc: str = "",
    check: bool = False,
    diff: bool = False,
    revert: bool = False,
    json: bool = False,
    profile: str = "local",
) -> int:
    """Make a package's setup.py compile exactly what is asked.

    Works on every release of causal-conv1d and mamba-ssm and on VMamba's selective_scan. The first
    contents are kept: patching again starts from them, --revert restores them to the byte.
    """
    from mambaops.cli.patch_output import choose_mode, patch_folders

    mode = choose_mode(check=check, diff=diff, revert=revert)
    options = _setup_options(arch, ninja, force_build, one_ptx, threads, torch)
    folders = _source_folders(c, source, profile)
    return patch_folders(folders, options, nvcc or None, mode, as_json=json)


def _source_folders(c: Context, source: str, profile: str) -> list[Path]:
    if source:
        return [Path(source)]
    from mambaops.build.sources import profile_sources  # type: ignore[attr-defined]

    return list(profile_sources(profile, c))


def _setup_options(
    arch: str, ninja: bool, force_build: bool, one_ptx: bool, threads: int, torch: str
) -> SetupOptions:
    from mambaops.patching.archs import parse_archs
    from mambaops.patching.options import SetupOptions
    from mambaops.patching.setup_py import standard_for_torch

    return SetupOptions(
        archs=parse_archs(arch) if arch else (),
        ninja=ninja,
        force_build=force_build,
        one_ptx=one_ptx,
        nvcc_threads=threads or None,
        cxx_standard=standard_for_torch(torch) if torch else None,
    )
