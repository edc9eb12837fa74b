"""Kernels compiled beforehand, as a wheel of `mambaops-kernels` holds them: one file per kernel, and what was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import msgspec

from mambaops.core.errors import MambaopsError
from mambaops.wheels.keys import NO_TORCH, BuildKey

if TYPE_CHECKING:
    import zipfile

KERNELS = "mambaops-kernels"
# what was asked for; the kernels lie in the folder beside it
ASKED = "mambaops_kernels/pack.json"
FOLDER = "mambaops_kernels/pack/"
# the first line of a kernel's file says what it is; nothing that we wrote is as long
LONGEST_HEAD = 64 * 1024


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a pack was compiled for.

    Attributes:
        version: of the distribution, without its local part.
        cuda: of the compiler, "12.8". archs: compute capabilities, "9.0".
        selection: which kernels, "" for the usual ones.
        source: digest of upstream's sources and of the code around them.
    """

    version: str
    cuda: str
    archs: tuple[str, ...]
    selection: str = ""
    source: str

    @property
    def key(self) -> BuildKey:
        """What the store knows it by: no torch, no Python and no system makes a difference."""
        return BuildKey.of(
            package=KERNELS,
            version=self.version,
            torch=NO_TORCH,
            cuda=self.cuda,
            cxx11_abi=None,
            python="py3",
            platform="any",
            architectures=list(self.archs),
            source=self.source,
            flags=[self.selection] if self.selection else [],
        )


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a kernel's file, as far as it is wanted here."""

    kind: Literal["cubin", "ptx"]
    arch: tuple[int, int]
    cuda: tuple[int, int]
    instance: str
    release: str


class Pack(msgspec.Struct, frozen=True, kw_only=True):
    """A pack, looked into.

    Attributes:
        cubins, ptx: compute capabilities that there is code of. cuda: of its compilers.
        dtypes: of the kernels' inputs. kernels: family -> how many files. releases: of upstream's sources.
    """

    asked: Asked
    cubins: tuple[str, ...]
    ptx: tuple[str, ...]
    cuda: tuple[str, ...]
    dtypes: tuple[str, ...]
    kernels: dict[str, int]
    releases: tuple[str, ...]


def read_pack(archive: zipfile.ZipFile, members: Iterable[str]) -> Pack | None:
    """The pack of a wheel; None for a wheel without one.

    Raises:
        MambaopsError: a file of it is not what mambaops writes.
    """
    import zipfile

    names = set(members)
    if ASKED not in names:
        return None
    try:
        asked = msgspec.json.decode(archive.read(ASKED), type=Asked)
        files = sorted(name for name in names if name.startswith(FOLDER))
        heads = [_head(archive, name) for name in files]
    except (zipfile.BadZipFile, msgspec.MsgspecError) as error:
        raise MambaopsError(f"the pack of kernels is damaged: {error}") from error
    said = [one.instance for one in heads]
    return Pack(
        asked=asked,
        cubins=_versions(one.arch for one in heads if one.kind == "cubin"),
        ptx=_versions(one.arch for one in heads if one.kind == "ptx"),
        cuda=_versions(one.cuda for one in heads),
        dtypes=tuple(sorted({one.partition(" input=")[2].split(" ")[0] for one in said})),
        kernels=dict(sorted(Counter(one.split()[0] for one in said).items())),
        releases=tuple(sorted({one.release for one in heads})),
    )


def _head(archive: zipfile.ZipFile, name: str) -> _Head:
    with archive.open(name) as file:
        return msgspec.json.decode(file.readline(LONGEST_HEAD), type=_Head)


def _versions(found: Iterable[tuple[int, int]]) -> tuple[str, ...]:
    return tuple(f"{major}.{minor}" for major, minor in sorted(set(found)))
