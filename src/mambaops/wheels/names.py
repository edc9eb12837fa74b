"""Wheel file names: what each scheme says about a build, parsed and printed back unchanged.

    upstream  mamba_ssm-2.2.2+cu122torch2.2cxx11abiFALSE-cp310-cp310-linux_x86_64.whl
    NGC       mamba_ssm-2.3.1+cu13torch25.08cxx11abiTRUE-cp312-cp312-linux_x86_64.whl
    Astral    mamba_ssm-2.3.2.post1+cu.12.8.torch.2.11-cp312-cp312-manylinux_2_28_x86_64.whl
    PyG       torch_scatter-2.1.2+pt28cu129-cp312-cp312-linux_x86_64.whl
    ours      mamba_ssm-2.3.2.post1+cu130torch2.14.sm90.x3f9c01ab-cp311-cp311-linux_x86_64.whl
    repaired  …+cu12torch2.7cxx11abiTRUE.glibc2.31-cp310-cp310-linux_x86_64.whl

A name is a promise by whoever wrote it: `wheels.inspect` holds it against what is inside.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from mambaops.core.errors import UsageError


class BadWheelName(UsageError):
    """A file name that cannot be a wheel's, or says two things at once (exit 2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What the local version (behind the `+`) says. None: it does not say.

    Attributes:
        scheme: "upstream", "ngc", "astral", "pyg", "own", "plain" (no local version) or "other".
        cuda: as far as the name goes: "12", "11.8", "13.0".
        torch: minor version "2.2"; for NGC the image, "25.08".
        cxx11_abi: what the name says, which is not always true (see `wheels.rules`).
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


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelName:
    """One file name. `package` is normalised ("mamba-ssm"), `version` has no local part."""

    package: str
    version: str
    build: Build
    python: str
    abi: str
    platform: str  # as written: "linux_x86_64", "manylinux_2_27_x86_64.manylinux_2_28_x86_64"
    distribution: str = ""  # the name as written, where that is not the usual `mamba_ssm`
    tag: str = ""  # build tag, nearly always empty

    def __str__(self) -> str:
        local = str(self.build)
        parts = [
            self.distribution or self.package.replace("-", "_"),
            self.version + (f"+{local}" if local else ""),
            *([self.tag] if self.tag else []),
            self.python,
            self.abi,
            self.platform,
        ]
        return "-".join(parts) + ".whl"

    @property
    def machine(self) -> str:
        """ "x86_64", "aarch64", "any", "amd64" (Windows)."""
        first = self.platform.split(".")[0]
        # e.g. manylinux_2_28_x86_64, linux_aarch64, win_amd64, macosx_11_0_arm64
        match = re.search(r"(x86_64|aarch64|i686|ppc64le|armv7l|amd64|arm64|win32|any)$", first)
        return match[1] if match else first

    @property
    def system(self) -> str:
        """ "Linux", "Windows", "Darwin" or "any"."""
        if self.platform.startswith("win"):
            return "Windows"
        if self.platform.startswith("macosx"):
            return "Darwin"
        return "any" if self.platform == "any" else "Linux"

    @property
    def free_threaded(self) -> bool:
        """Is it for a Python that was built without the GIL (cp313t)?"""
        return re.fullmatch(r"cp\d+t", self.abi) is not None

    @property
    def glibc(self) -> str | None:
        """The glibc that the platform tag promises, "2.28"; None for a plain `linux_` tag."""
        found = []
        for tag in self.platform.split("."):
            if tag.startswith(tuple(_MANYLINUX)):
                found.append(_MANYLINUX[tag.split("_")[0]])
            elif match := re.match(r"manylinux_(\d+)_(\d+)_", tag):
                found.append((int(match[1]), int(match[2])))
        return "{}.{}".format(*min(found)) if found else None

    def with_repair(self, glibc: str) -> WheelName:
        """The name of the repaired wheel: another local version, so that no cache mixes them up."""
        return replace(self, build=replace(self.build, repaired=glibc))


_MANYLINUX = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
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


def parse_wheel_name(name: str) -> WheelName:
    """Read a file name.

    Raises:
        BadWheelName: not a wheel's name, mangled by a browser or a shell, or contradicting itself.
    """
    _refuse_mangled(name)
    parts = name.removesuffix(".whl").split("-")
    if len(parts) not in (5, 6):
        raise _bad(name, f"has {len(parts)} parts between dashes; a wheel's name has 5 or 6")
    distribution, whole, *tag = parts[: len(parts) - 3]
    python, abi, platform = parts[-3:]
    _check_tags(name, python, abi, platform)
    version, plus, local = whole.partition("+")
    _check_version(name, whole)
    if plus and not local:
        raise _bad(name, "has a `+` with no local version behind it")
    package = re.sub(r"[-_.]+", "-", distribution).lower()
    return WheelName(
        package=package,
        version=version,
        build=parse_build(local, name),
        python=python,
        abi=abi,
        platform=platform,
        distribution="" if package.replace("-", "_") == distribution else distribution,
        tag=tag[0] if tag else "",
    )


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
        raise _bad(name or local, f"says cxx11abi{match[4]}; it must be TRUE or FALSE")
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
        raise _bad(name, f"says cu{digits}, which is no CUDA version (cu11, cu118, cu130, …)")
    return digits if len(digits) == 2 else f"{digits[:2]}.{digits[2:]}"


def _refuse_mangled(name: str) -> None:
    if "/" in name or "\\" in name:
        raise _bad(name, "is a path, not a file name")
    if "%2B" in name or "%2b" in name:
        raise _bad(name, "holds `%2B` where the name has `+`", _rename(name, "%2B", "%2b"))
    if not name.endswith(".whl"):
        raise _bad(name, "does not end in .whl")
    # e.g. "… (1).whl": a browser's second download
    if re.search(r" ?\(\d+\)\.whl$", name):
        raise _bad(name, "was renamed by a browser", "give it its whole name back")
    if not name.isascii() or re.search(r"\s", name):
        raise _bad(name, "holds blanks or other characters that no wheel's name has")


def _rename(name: str, *codes: str) -> str:
    for code in codes:
        name = name.replace(code, "+")
    return f"rename it to `{name}`"


def _check_tags(name: str, python: str, abi: str, platform: str) -> None:
    # e.g. cp310, py3, py2.py3
    if not re.fullmatch(r"(?:(?:cp|py|pp)\d+\.?)+", python):
        raise _bad(name, f"has the Python tag `{python}`; expected one like cp310")
    # e.g. cp310, cp37m, cp313t, abi3, none
    if not re.fullmatch(r"cp\d+[a-z]*|abi3|none|pypy\d+_pp\d+", abi):
        raise _bad(name, f"has the ABI tag `{abi}`; expected one like cp310")
    if abi.startswith("cp") and re.sub(r"[a-z]+$", "", abi) != python:
        raise _bad(name, f"says Python {python} and ABI {abi}: no such build exists")
    # e.g. linux_x86_64, manylinux_2_28_x86_64, win_amd64, macosx_11_0_arm64, any
    if not re.fullmatch(
        r"(?:any|(?:linux|manylinux|musllinux|win|macosx)[a-z0-9_]*\.?)+", platform
    ):
        raise _bad(name, f"has the platform tag `{platform}`; expected one like linux_x86_64")


def _check_version(name: str, version: str) -> None:
    from packaging.version import InvalidVersion, Version

    try:
        Version(version)
    except InvalidVersion as error:
        raise _bad(name, f"has the version `{version}`, which PEP 440 does not allow") from error


def _bad(name: str, found: str, hint: str = "") -> BadWheelName:
    return BadWheelName(
        f"`{name}` {found}",
        hint=hint or "keep the whole name that the wheel was published or built with",
    )
