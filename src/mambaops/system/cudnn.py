"""cuDNN: which version a toolkit holds, and installing one from NVIDIA's archive.

Neither causal-conv1d nor mamba-ssm uses cuDNN, and torch brings its own: this is for other programs.
"""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mambaops.core.errors import MachineError, MambaopsError, UsageError
from mambaops.core.files import regular, replace_link, replacing
from mambaops.facts.model import Facts
from mambaops.system.routes_apt import add_repository
from mambaops.system.toolkit import nvcc_release

NOT_NEEDED = "mamba-ssm and causal-conv1d need no cuDNN of their own: they do not link it, and torch brings one"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cudnn:
    """A cuDNN header: `version` "8.9.7", `number` as `CUDNN_VERSION` has it (8907, 90100)."""

    version: str
    number: int
    path: str


def parse_header(text: str, path: str) -> Cudnn | None:
    """The version in `cudnn_version.h`; None where it holds none.

    cuDNN 8 and before count MAJOR * 1000, cuDNN 9 counts MAJOR * 10000; the header's own formula is used.
    """
    # e.g. "#define CUDNN_MAJOR 8"
    parts = [
        re.search(rf"^\s*#define\s+CUDNN_{name}\s+(\d+)", text, re.MULTILINE)
        for name in ("MAJOR", "MINOR", "PATCHLEVEL")
    ]
    if not all(parts):
        return None
    major, minor, patch = (int(part.group(1)) for part in parts if part)
    # e.g. "#define CUDNN_VERSION (CUDNN_MAJOR * 1000 + CUDNN_MINOR * 100 + CUDNN_PATCHLEVEL)"
    formula = re.search(r"CUDNN_MAJOR\s*\*\s*(\d+)\s*\+\s*CUDNN_MINOR\s*\*\s*(\d+)", text)
    by_major = (10000, 100) if major >= 9 else (1000, 100)
    thousand, hundred = (int(n) for n in formula.groups()) if formula else by_major
    number = major * thousand + minor * hundred + patch
    return Cudnn(version=f"{major}.{minor}.{patch}", number=number, path=path)


def installed(home: Path) -> list[Cudnn]:
    """Every cuDNN header of the toolkit `home` and of the system's include folders."""
    system = Path("/usr/include")
    places = [home / "include", *sorted(home.glob("targets/*/include")), system]
    places += sorted(system.glob("*-linux-gnu"))
    found: dict[Path, Cudnn] = {}
    for header in (folder / "cudnn_version.h" for folder in places):
        if header.is_file() and header.resolve() not in found:
            cudnn = parse_header(header.read_text(encoding="utf-8", errors="replace"), str(header))
            if cudnn is not None:
                found[header.resolve()] = cudnn
    return list(found.values())


def install(archive: Path, home: Path) -> list[Path]:
    """Copy headers and libraries of NVIDIA's tar archive into a toolkit, readable for all.

    Only `include/cudnn*` and `lib*/libcudnn*` are taken; links may point beside themselves only.

    Returns:
        the files written.

    Raises:
        UsageError: no such archive, no tar, cut off, or without cuDNN; nothing was written.
        MachineError: the toolkit cannot be written to.
    """
    if not (home / "include").is_dir():
        raise UsageError(f"{home} is no toolkit: it has no include folder")
    try:
        with tarfile.open(regular(archive)) as tar:
            wanted = list(_wanted(tar, home))
            if not any(target.name == "cudnn_version.h" for _, target in wanted):
                raise UsageError(f"{archive} holds no include/cudnn_version.h: it is no cuDNN")
            # links last: what they point to is there then
            wanted.sort(key=lambda pair: pair[0].issym())
            return [_place(tar, member, target) for member, target in wanted]
    except FileNotFoundError as error:
        raise UsageError(f"{error.filename or archive} is not there") from error
    except PermissionError as error:
        raise MachineError(
            f"{home} cannot be written to",
            hint="run it as root, or into a toolkit of your own (--home)",
        ) from error
    except (tarfile.TarError, EOFError) as error:
        raise UsageError(f"{archive} is no whole tar archive: {error}") from error
    except OSError as error:
        raise MambaopsError(f"{archive}: {error.strerror or error}") from error


def _wanted(tar: tarfile.TarFile, home: Path) -> Iterator[tuple[tarfile.TarInfo, Path]]:
    """The members to copy and where to. Reads the whole archive: a cut-off one fails here."""
    library = home / ("lib64" if (home / "lib64").is_dir() else "lib")
    for member in tar:
        path = PurePosixPath(member.name)
        folder, name = path.parent.name, path.name
        if folder == "include" and name.startswith("cudnn"):
            target = home / "include" / name
        elif folder in ("lib", "lib64") and name.startswith("libcudnn"):
            target = library / name
        else:
            continue
        if member.issym() and "/" in member.linkname:
            raise UsageError(f"{tar.name!r}: {member.name} links out of its folder")
        if member.isfile() or member.issym():
            yield member, target


def _place(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> Path:
    """Write one member beside its place, then replace what is there."""
    if member.issym():
        return replace_link(target, Path(member.linkname))
    source = tar.extractfile(member)
    if source is None:
        raise UsageError(f"{member.name} has no content")
    # a+r: others compile with this toolkit too; the owner's write bit stays
    with (
        source,
        replacing(target, mode=(member.mode & 0o755) | 0o644) as aside,
        aside.open("wb") as f,
    ):
        shutil.copyfileobj(source, f)
    return target


def deb_commands(facts: Facts, cuda: str, folder: str) -> list[list[str]]:
    """deb (network): cuDNN 9 for that CUDA's major version from NVIDIA's repository, without sudo. Pure.

    Raises:
        MachineError: NVIDIA has no apt repository for this system.
    """
    ready = add_repository(facts, folder)
    if not ready:
        name = facts.host.distribution.name or facts.host.system
        raise MachineError(
            f"NVIDIA has no apt repository for {name} on {facts.host.machine}",
            hint="take the tar archive: `mambaops --help cudnn-install`",
        )
    return [*ready, ["apt-get", "install", "-y", f"cudnn9-cuda-{cuda.split('.')[0]}"]]


def cuda_of_archive(name: str) -> str | None:
    """The CUDA major version in an archive's name, e.g. "cudnn-linux-x86_64-8.9.7.29_cuda11-archive.tar.xz"."""
    found = re.search(r"_cuda(\d+)", name) or re.search(r"cudnn-(\d+)\.\d+-linux", name)
    return found.group(1) if found else None


def mismatch(archive: str, home: Path) -> str:
    """What to say where the archive is for another CUDA than the toolkit; "" where they agree."""
    theirs, ours = cuda_of_archive(archive), nvcc_release(home)
    if theirs is None or ours is None or ours.split(".")[0] == theirs:
        return ""
    return f"the archive is for CUDA {theirs}, the toolkit {home} is {ours}"
