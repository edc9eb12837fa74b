"""What tells one `mambaops-kernels` from another: the version of the distribution."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Collection, Mapping

from mambaops.core.paths import payload_file
from mambaops.knowledge.packages import packages
from mambaops.runtime.selection import USUAL, Selection
from mambaops.wheels.inspect.pack import Asked

BASE = "1.0"
# of the payload, what the distribution holds
_PARTS = ("kernels", "scan")


def kernel_packages(own: Collection[str] = ()) -> tuple[str, ...]:
    """Packages whose kernels the distribution compiles, by name.

    Args:
        own: packages whose sources the person gave.
    """
    return tuple(
        name
        for name, one in packages().items()
        if one.runtime is True or (one.runtime and name in own)
    )


def distribution_version(
    own: Mapping[str, str], cuda: str, archs: tuple[str, ...], selection: Selection = USUAL
) -> str:
    """`1.0+cu130.sm90.x1a2b3c4d`: the pack inside, and a digest of all that the files are made from.

    Args:
        own: package -> digest of the sources that the person gave; the others' are those of the package files.
        cuda: of the NVRTC that compiled the pack, "13.0". archs: of the pack; none: compiled on first use.
        selection: of the pack's kernels.
    """
    more = [selection.name] if archs and selection.name else []
    text = "\n".join([*_told(own), cuda if archs else "", *archs, *more])
    pack = ["cu" + cuda.replace(".", ""), *["sm" + arch.replace(".", "") for arch in archs]]
    local = [*(pack if archs else []), "x" + hashlib.sha256(text.encode()).hexdigest()[:8]]
    return f"{BASE}+{'.'.join(local)}"


def asked_of(
    own: Mapping[str, str], cuda: str, archs: tuple[str, ...], selection: Selection = USUAL
) -> Asked:
    """What a pack is compiled for, as it says itself and as the store knows it."""
    return Asked(
        version=BASE, cuda=cuda, archs=archs, selection=selection.name, source=sources_digest(own)
    )


def sources_digest(own: Mapping[str, str]) -> str:
    """Of upstream's sources and of our own files: packs of the same hold the same kernels."""
    return hashlib.sha256("\n".join(_told(own)).encode()).hexdigest()


def _told(own: Mapping[str, str]) -> list[str]:
    sources = {name: own.get(name, packages()[name].source.sha256) for name in kernel_packages(own)}
    return [_payload_digest(), *(f"{name}={digest}" for name, digest in sorted(sources.items()))]


@functools.cache
def _payload_digest() -> str:
    """Of our own files in the distribution: another mambaops may bring other ones."""
    digest = hashlib.sha256()
    for part in _PARTS:
        top = payload_file(part)
        for path in sorted(top.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(path.relative_to(top).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
