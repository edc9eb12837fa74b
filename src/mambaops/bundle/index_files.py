"""Files of the package index without pip and without torch: uv says which, by pip's own settings; we fetch them."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from mambaops.bundle.lock import LockedFile, resolve
from mambaops.bundle.model import BundleSpec
from mambaops.core.errors import MambaopsError
from mambaops.download.fetch import fetch
from mambaops.profiles.model import PackageSpec

Say = Callable[[str], None]


def wheels(say: Say) -> Callable[[Sequence[str], Path], None]:
    """Puts this machine's wheels of some requirements into a folder (`runtime.nvidia_wheels.Fetch`)."""

    def bring(requirements: Sequence[str], folder: Path) -> None:
        for file in _locked(requirements, ()):
            _fetch(file, folder, say)

    return bring


def sdists(say: Say) -> Callable[[str, PackageSpec, Path], Path]:
    """Puts a release's sdist into a folder (`runtime.releases.Fetch`); its setup.py, which wants torch, is not run."""

    def bring(name: str, spec: PackageSpec, folder: Path) -> Path:
        (file,) = _locked((), (f"{name}=={spec.version}",))
        return _fetch(file, folder, say, spec.sha256)

    return bring


def _locked(requirements: Sequence[str], sources: Sequence[str]) -> list[LockedFile]:
    spec = BundleSpec(
        name="kernels",
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        machine=platform.machine(),
        glibc=_glibc(),
        requirements=list(requirements),
        sources=list(sources),
    )
    with tempfile.TemporaryDirectory(prefix="mambaops-lock-") as folder:
        return resolve(spec, Path(folder))


def _glibc() -> str:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")[2]
    except (ValueError, OSError, AttributeError):
        return ""


def _fetch(file: LockedFile, folder: Path, say: Say, sha256: str | None = None) -> Path:
    if sha256 and file.sha256 and sha256 != file.sha256:
        raise MambaopsError(
            f"the index has another {file.name} than the one that is known (sha256 {file.sha256})",
            hint="a mirror may hold a damaged file: try another index",
        )
    if not file.url.startswith(("http:", "https:", "file:")):
        return Path(shutil.copy(file.url, folder))
    got = fetch(file.url, folder, sha256=file.sha256, name=file.name)
    say(f"{file.name} ({got.bytes / 1e6:.1f} MB)")
    return got.path
