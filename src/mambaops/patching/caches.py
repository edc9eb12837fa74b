"""Taking these packages' wheels out of pip's and uv's caches, so that a build is a build.

A wheel that pip built once is installed from its cache for ever (`Using cached …whl`), whatever torch or GPU
is there now. Purging everything would throw away gigabytes of other packages: that is `everything=True` only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mambaops.core import interpreters, process
from mambaops.core.errors import CommandFailed
from mambaops.knowledge.packages import packages as known_packages

_TIMEOUT = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What was taken out of one tool's cache.

    Attributes:
        removed: what the tool had of these packages, file by file where it tells.
        size: bytes that were freed; None when the tool does not say.
        said: the tool's own last line, or why nothing was done.
        failed: the tool ended badly; `said` has its words.
    """

    tool: str
    removed: tuple[str, ...]
    size: int | None
    said: str
    failed: bool = False


def purge(*, everything: bool = False, packages: Sequence[str] = ()) -> list[Purged]:
    """Remove the packages' entries (or everything) from the caches of pip and uv.

    Args:
        packages: their names; default: every package that is known.
    """
    packages = packages or list(known_packages())
    return [_pip(everything, packages), _uv(everything, packages)]


def _pip(everything: bool, packages: Sequence[str]) -> Purged:
    pip = _find_pip()
    if pip is None:
        return Purged(tool="pip", removed=(), size=0, said="no pip here")
    try:
        if everything:
            said = _run([*pip, "cache", "purge"])
            return Purged(
                tool="pip", removed=("everything",), size=_size_in(said), said=_last(said)
            )
        wheels = [wheel for name in packages for wheel in _pip_wheels(pip, name)]
        size = sum(wheel.stat().st_size for wheel in wheels if wheel.is_file())
        for name in packages:
            if any(_belongs(wheel, name) for wheel in wheels):
                _run([*pip, "cache", "remove", _wheel_name(name)])
    except CommandFailed as error:
        return Purged(tool="pip", removed=(), size=None, said=error.message, failed=True)
    said = f"{len(wheels)} wheels" if wheels else "no wheel of these packages"
    return Purged(tool="pip", removed=tuple(map(str, wheels)), size=size, said=said)


def _find_pip() -> list[str | Path] | None:
    own: list[str | Path] = [interpreters.ours(), "-m", "pip"]
    if process.run([*own, "--version"], check=False, timeout=_TIMEOUT).ok:
        return own
    found = process.which("pip") or process.which("pip3")
    return [found] if found else None


def _pip_wheels(pip: list[str | Path], package: str) -> list[Path]:
    listed = _run([*pip, "cache", "list", "--format=abspath", _wheel_name(package)])
    return [Path(line) for line in listed.splitlines() if line.endswith(".whl")]


def _wheel_name(package: str) -> str:
    return re.sub(r"[-_.]+", "_", package).lower()


def _belongs(wheel: Path, package: str) -> bool:
    return wheel.name.lower().startswith(_wheel_name(package) + "-")


def _uv(everything: bool, packages: Sequence[str]) -> Purged:
    uv = _find_uv()
    if uv is None:
        return Purged(tool="uv", removed=(), size=0, said="no uv here")
    try:
        names = () if everything else tuple(packages)
        said = _run([uv, "cache", "clean", *names])
    except CommandFailed as error:
        return Purged(tool="uv", removed=(), size=None, said=error.message, failed=True)
    cleaned = ("everything",) if everything else tuple(packages)
    nothing = "No cache" in said or not said.strip()
    return Purged(
        tool="uv",
        removed=() if nothing else cleaned,
        size=0 if nothing else _size_in(said),
        said=_last(said) or "nothing there",
    )


def _find_uv() -> Path | None:
    try:
        from uv import find_uv_bin

        return Path(find_uv_bin())
    except (ImportError, FileNotFoundError):
        return process.which("uv")


def _run(argv: Sequence[str | Path]) -> str:
    done = process.run(argv, timeout=_TIMEOUT)
    return f"{done.stdout}\n{done.stderr}".strip()


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


def _size_in(text: str) -> int | None:
    """Bytes in e.g. "Removed 3 files (1.5MiB)" (uv) or "Files removed: 12 (3.4 MB)" (pip)."""
    found = re.search(r"\((\d+(?:\.\d+)?)\s*([kKMGT]?)(i?)(?:B|bytes)\)", text)
    if not found:
        return None
    unit = 1024 if found[3] else 1000
    power = " KMGT".index(found[2].upper() or " ")
    return round(float(found[1]) * float(unit**power))
