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

from msgspec import Struct
from msgspec.structs import replace
from packaging.version import InvalidVersion, Version

from mambaops.wheels.builds import Build, bad_name, parse_build


class WheelName(Struct, frozen=True, kw_only=True):
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


def parse_wheel_name(name: str) -> WheelName:
    """Read a file name.

    Raises:
        BadWheelName: not a wheel's name, mangled by a browser or a shell, or contradicting itself.
    """
    _refuse_mangled(name)
    parts = name.removesuffix(".whl").split("-")
    if len(parts) not in (5, 6):
        raise bad_name(name, f"has {len(parts)} parts between dashes; a wheel's name has 5 or 6")
    distribution, whole, *tag = parts[: len(parts) - 3]
    python, abi, platform = parts[-3:]
    _check_tags(name, python, abi, platform)
    version, plus, local = whole.partition("+")
    _check_version(name, whole)
    if plus and not local:
        raise bad_name(name, "has a `+` with no local version behind it")
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


def _refuse_mangled(name: str) -> None:
    if "/" in name or "\\" in name:
        raise bad_name(name, "is a path, not a file name")
    if "%2B" in name or "%2b" in name:
        raise bad_name(name, "holds `%2B` where the name has `+`", _rename(name, "%2B", "%2b"))
    if not name.endswith(".whl"):
        raise bad_name(name, "does not end in .whl")
    # e.g. "… (1).whl": a browser's second download
    if re.search(r" ?\(\d+\)\.whl$", name):
        raise bad_name(name, "was renamed by a browser", "give it its whole name back")
    if not name.isascii() or re.search(r"\s", name):
        raise bad_name(name, "holds blanks or other characters that no wheel's name has")


def _rename(name: str, *codes: str) -> str:
    for code in codes:
        name = name.replace(code, "+")
    return f"rename it to `{name}`"


def _check_tags(name: str, python: str, abi: str, platform: str) -> None:
    # e.g. cp310, py3, py2.py3
    if not re.fullmatch(r"(?:(?:cp|py|pp)\d+\.?)+", python):
        raise bad_name(name, f"has the Python tag `{python}`; expected one like cp310")
    # e.g. cp310, cp37m, cp313t, abi3, none
    if not re.fullmatch(r"cp\d+[a-z]*|abi3|none|pypy\d+_pp\d+", abi):
        raise bad_name(name, f"has the ABI tag `{abi}`; expected one like cp310")
    if abi.startswith("cp") and re.sub(r"[a-z]+$", "", abi) != python:
        raise bad_name(name, f"says Python {python} and ABI {abi}: no such build exists")
    # e.g. linux_x86_64, manylinux_2_28_x86_64, win_amd64, macosx_11_0_arm64, any
    if not re.fullmatch(
        r"(?:any|(?:linux|manylinux|musllinux|win|macosx)[a-z0-9_]*\.?)+", platform
    ):
        raise bad_name(name, f"has the platform tag `{platform}`; expected one like linux_x86_64")


def _check_version(name: str, version: str) -> None:
    try:
        Version(version)
    except InvalidVersion as error:
        raise bad_name(
            name, f"has the version `{version}`, which PEP 440 does not allow"
        ) from error
