"""The local version of a wheel (behind the `+`): what each scheme says about a build, parsed and printed back.

upstream  cu122torch2.2cxx11abiFALSE
NGC       cu13torch25.08cxx11abiTRUE
Astral    cu.12.8.torch.2.11
PyG       pt28cu129
ours      cu130torch2.14.sm90.x3f9c01ab
repaired  cu12torch2.7cxx11abiTRUE.glibc2.31
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from mambaops.core.errors import UsageError


class BadWheelName(UsageError):
    """A file name that cannot be a wheel's, or says two things at once (exit 2)."""


class Build(Struct, frozen=True, kw_only=True):
    """What the local version (behind the `+`) says. None: it does not say.

    Attributes:
        scheme: "upstream", "ngc", "astral", "pyg", "own", "plain" (no local version) or "other".
        cuda: as far as the name goes: "12", "11.8", "13.0".
        torch: minor version "2.2"; for NGC the image, "25.08".
        cxx11_abi: what the name says, which is not always true (see `wheels.select.torch_rules`).
        architectures: "9.0", "12.0+PTX"; a range "7.5", "to", "12.1" where many were built.
        digest: the own scheme's key digest. repaired: the glibc a repair was made for, "2.31".
        text: the local version as written, for schemes that are not known.
    """

    scheme: str
    cuda: str | None = None
    torch: str | None = None
    cxx11_abi: bool | None = None
    architectures: tuple[str, ...] = ()
    digest: str | None = None
    repaired: str | None = None
    text: str = ""

    def __str__(self) -> str:
        repair = f"glibc{self.repaired}" if self.repaired else ""
        return ".".join(part for part in (_PRINT[self.scheme](self), repair) if part)


def parse_build(local: str, name: str = "") -> Build:
    """What a local version says.

    Raises:
        BadWheelName: it follows a known scheme and makes no sense in it.
    """
    # e.g. cu12torch2.7cxx11abiTRUE.glibc2.31, glibc2.31
    stem, repaired = local, None
    if match := re.fullmatch(r"(?:(.+)\.)?glibc(\d+\.\d+)", local):
        stem, repaired = match[1] or "", match[2]
    build = _upstream(stem, name) or _astral(stem) or _own(stem) or _pyg(stem)
    if build is None:
        build = Build(scheme="other", text=stem) if stem else Build(scheme="plain")
    return replace(build, repaired=repaired) if repaired else build


def _upstream(local: str, name: str) -> Build | None:
    # e.g. cu122torch2.2cxx11abiFALSE, cu12torch2.10cxx11abiTRUE, cu13torch25.08cxx11abiTRUE
    match = re.fullmatch(r"cu(\d+)torch(\d+)\.(\d+)cxx11abi(\w+)", local)
    if match is None:
        return None
    if match[4] not in ("TRUE", "FALSE"):
        raise bad_name(name or local, f"says cxx11abi{match[4]}; it must be TRUE or FALSE")
    # the images of NVIDIA's registry are named year.month; torch itself is at 2
    ngc = int(match[2]) >= 20
    return Build(
        scheme="ngc" if ngc else "upstream",
        cuda=_dotted(match[1], name or local),
        torch=f"{match[2]}.{match[3]}",
        cxx11_abi=match[4] == "TRUE",
    )


def _astral(local: str) -> Build | None:
    # e.g. cu.12.8.torch.2.11
    match = re.fullmatch(r"cu\.(\d+\.\d+)\.torch\.(\d+\.\d+)", local)
    return Build(scheme="astral", cuda=match[1], torch=match[2]) if match else None


def _own(local: str) -> Build | None:
    # e.g. cu130torch2.14.sm90.x3f9c01ab, cu128torch2.8.sm75tosm121.x0a1b2c3d, cputorch2.13.x01234567
    match = re.fullmatch(
        r"(?:cu(\d{3})|cpu)torch(\d+\.\d+)(?:\.(sm[0-9a-z]+))?\.x([0-9a-f]{8})", local
    )
    if match is None:
        return None
    cuda = _dotted(match[1], local) if match[1] else None
    return Build(
        scheme="own",
        cuda=cuda,
        torch=match[2],
        architectures=_read_architectures(match[3] or ""),
        digest=match[4],
    )


def _pyg(local: str) -> Build | None:
    # e.g. pt28cu129, pt113cu117 (torch 1.13), pt20cpu
    match = re.fullmatch(r"pt(\d)(\d+)(?:cu(\d{3})|cpu)", local)
    if match is None:
        return None
    cuda = _dotted(match[3], local) if match[3] else None
    return Build(scheme="pyg", cuda=cuda, torch=f"{match[1]}.{match[2]}")


def _read_architectures(text: str) -> tuple[str, ...]:
    # e.g. sm80sm90asm120ptx, or sm75tosm121
    found = []
    for number, suffix, ptx, to in re.findall(r"sm(\d+)(a|f)?(ptx)?(to)?", text):
        found.append(f"{number[:-1]}.{number[-1]}{suffix}{'+PTX' if ptx else ''}")
        found += ["to"] if to else []
    return tuple(found)


_PRINT: dict[str, Callable[[Build], str]] = {
    "upstream": lambda b: f"cu{_digits(b.cuda)}torch{b.torch}cxx11abi{str(b.cxx11_abi).upper()}",
    "ngc": lambda b: f"cu{_digits(b.cuda)}torch{b.torch}cxx11abi{str(b.cxx11_abi).upper()}",
    "astral": lambda b: f"cu.{b.cuda}.torch.{b.torch}",
    "own": lambda b: ".".join(
        [f"{_own_cuda(b)}torch{b.torch}", *_own_architectures(b), f"x{b.digest}"]
    ),
    "pyg": lambda b: f"pt{_digits(b.torch)}{_own_cuda(b)}",
    "plain": lambda b: "",
    "other": lambda b: b.text,
}


def _own_architectures(build: Build) -> list[str]:
    names = [
        one if one == "to" else "sm" + one.replace(".", "").replace("+", "").lower()
        for one in build.architectures
    ]
    return ["".join(names)] if names else []


def _own_cuda(build: Build) -> str:
    return f"cu{_digits(build.cuda)}" if build.cuda else "cpu"


def _digits(cuda: str | None) -> str:
    return (cuda or "").replace(".", "")


def _dotted(digits: str, name: str) -> str:
    """ "12" stays, "122" is 12.2, "1210" would be 12.10."""
    if not 2 <= len(digits) <= 4 or not 10 <= int(digits[:2]) <= 19:
        raise bad_name(name, f"says cu{digits}, which is no CUDA version (cu11, cu118, cu130, …)")
    return digits if len(digits) == 2 else f"{digits[:2]}.{digits[2:]}"


def bad_name(name: str, found: str, hint: str = "") -> BadWheelName:
    return BadWheelName(
        f"`{name}` {found}",
        hint=hint or "keep the whole name that the wheel was published or built with",
    )
