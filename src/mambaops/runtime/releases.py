"""Releases for the runtime kernels: the newest ones' kernel files, and the Python part of the release that is wanted.

Fetched once per machine and checked by hash, kept unpacked in the cache, never patched.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from mambaops.compile.sources import digest_of, unpack
from mambaops.core.errors import UsageError
from mambaops.core.files import sha256_of
from mambaops.core.paths import cache_dir
from mambaops.knowledge.packages import package as package_named
from mambaops.profiles.model import PackageSpec
from mambaops.runtime.kernel_files import KernelSource

# puts the sdist of a package's release into a folder and says its path
Fetch = Callable[[str, PackageSpec, Path], Path]


def kernel_source(name: str, fetch: Fetch, *, given: str = "") -> KernelSource:
    """The kernel files of a package: of the newest release that is known, or of the person's own source.

    Raises:
        MambaopsError: it cannot be fetched, or has another hash.
    """
    known = package_named(name).source
    spec = PackageSpec(version=known.version, sha256=known.sha256)
    tree = python_sources(name, spec, fetch, given=given)
    return KernelSource(
        package=name,
        version=f"of {given}" if given else known.version,
        tree=tree,
        sha256=digest_of(Path(given).expanduser()) if given else known.sha256,
    )


def python_sources(name: str, spec: PackageSpec, fetch: Fetch, *, given: str) -> Path:
    """The unpacked sdist of a release; a checkout or archive of the person's where one is given.

    Old sdists lack the kernels, which come from newer ones; their Python part is whole.

    Raises:
        MambaopsError: it cannot be fetched, or has another hash. UsageError: there is nothing at `given`.
    """
    if given and Path(given).expanduser().is_dir():
        return Path(given).expanduser()
    digest = sha256_of(_file(given)) if given else spec.sha256
    folder = cache_dir() / "releases" / f"{name}-{spec.version}-{(digest or 'any')[:12]}"
    if not folder.is_dir():
        _unpack(name, spec, folder, fetch, given)
    return next(path for path in folder.iterdir() if path.is_dir())


def _file(given: str) -> Path:
    path = Path(given).expanduser()
    if not path.is_file():
        raise UsageError(f"`--source {given}`: there is no such folder or archive")
    return path


def _unpack(name: str, spec: PackageSpec, folder: Path, fetch: Fetch, given: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".release-", dir=folder.parent) as work:
        fetched = Path(work, "fetched")
        fetched.mkdir()
        archive = _file(given) if given else fetch(name, spec, fetched)
        whole = Path(work, "whole")
        whole.mkdir()
        unpack(archive, whole)
        if folder.is_dir():
            return  # another process was quicker
        shutil.move(whole, folder)
