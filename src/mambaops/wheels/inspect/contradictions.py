"""Where a wheel's name says something else than its inside: such a wheel fits nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from mambaops.wheels.inspect.abi import TorchEra
from mambaops.wheels.inspect.extension import Extension, version_key
from mambaops.wheels.names import WheelName


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """A wheel's name and what its files say.

    Attributes:
        name: None for an installed package. package/version/tags: as METADATA and WHEEL say.
        era/abi: what the symbols of the extensions say.
    """

    name: WheelName | None
    package: str
    version: str
    extensions: tuple[Extension, ...]
    era: TorchEra
    abi: bool | None
    tags: tuple[str, ...]


def find_contradictions(inside: Inside) -> Iterator[str]:
    """Each place where one part says something else than another."""
    name, extensions, era = inside.name, inside.extensions, inside.era
    yield from _between_modules(extensions, era)
    if name is not None:
        yield from _with_metadata(name, inside.package, inside.version)
        yield from _with_platform(name, extensions)
        yield from _with_build(name, extensions, era, inside.abi)


def find_oddities(inside: Inside) -> Iterator[str]:
    """What is odd and harms nobody."""
    if inside.name is not None:
        yield from _oddities(inside.name, inside.version, inside.tags, inside.abi)


def _between_modules(extensions: tuple[Extension, ...], era: TorchEra) -> Iterator[str]:
    machines = sorted({extension.machine for extension in extensions})
    if len(machines) > 1:
        yield f"its modules are for different processors: {', '.join(machines)}"
    cuda = sorted({e.cudart for e in extensions if e.cudart})
    if len(cuda) > 1:
        yield f"its modules link to different CUDA runtimes: {', '.join(cuda)}"
    if era.contradiction:
        yield (
            f"its symbols belong to no one torch (from {era.since} on, and before {era.before}): "
            "objects of two builds were linked together"
        )


def _with_metadata(name: WheelName, package: str, version: str) -> Iterator[str]:
    if package != name.package:
        yield f"the file is named {name.package}; its METADATA says {package or 'no name'}"
    try:
        public = Version(version).public
    except InvalidVersion:
        yield f"its METADATA has no valid version (`{version}`)"
        return
    if public != Version(name.version).public:
        yield f"the file is named version {name.version}; its METADATA says {version}"


def _with_platform(name: WheelName, extensions: tuple[Extension, ...]) -> Iterator[str]:
    for extension in extensions:
        if name.system == "any":
            yield f"the name says any platform; `{extension.name}` is for Linux {extension.machine}"
        elif name.system != "Linux":
            yield f"the name says {name.system}; `{extension.name}` is for Linux"
        elif extension.machine != name.machine:
            yield (
                f"the name says {name.machine}; `{extension.name}` is for {extension.machine} processors"
            )
        # e.g. selective_scan_cuda.cpython-310-x86_64-linux-gnu.so
        match = re.search(r"\.cpython-(\d+)[a-z]*-", extension.name)
        if match and name.python.startswith("cp") and match[1] != name.python[2:]:
            yield f"the name says {name.python}; `{extension.name}` is for CPython {match[1]}"
        promised, real = name.glibc, extension.glibc
        if promised and real and version_key(real) > version_key(promised):
            yield f"the name promises glibc {promised}; `{extension.name}` needs GLIBC_{real}"


def _with_build(
    name: WheelName, extensions: tuple[Extension, ...], era: TorchEra, abi: bool | None
) -> Iterator[str]:
    build = name.build
    if build.cxx11_abi is True and abi is False:
        yield "the name says cxx11abiTRUE; its symbols use the old std::string"
    if build.torch and build.scheme != "ngc" and not era.contradiction and not era.has(build.torch):
        yield f"the name says torch {build.torch}; its symbols are those of torch {era.specifier}"
    for extension in extensions:
        cudart = extension.cudart
        if build.cuda and cudart and build.cuda.split(".")[0] != cudart:
            yield f"the name says CUDA {build.cuda}; `{extension.name}` links to libcudart.so.{cudart}"
    yield from _with_architectures(name, extensions)


def _with_architectures(name: WheelName, extensions: tuple[Extension, ...]) -> Iterator[str]:
    named = name.build.architectures
    inside = {one for extension in extensions for one in extension.cubins}
    if "to" in named or not extensions:
        return
    missing = [a for a in (one.removesuffix("+PTX") for one in named) if a not in inside]
    if missing:
        yield (
            f"the name says machine code for {', '.join(missing)}; inside is "
            f"{', '.join(sorted(inside)) or 'none'}"
        )


def _oddities(
    name: WheelName, version: str, tags: tuple[str, ...], abi: bool | None
) -> Iterator[str]:
    local = str(name.build)
    if local and "+" not in version:
        yield (
            f"the file is named +{local}, its METADATA says plain {version} (upstream renames its files): "
            "pip refuses such a pair from --find-links; install it by its path"
        )
    if name.build.cxx11_abi is False and abi is True:
        yield (
            "the name says cxx11abiFALSE and its symbols use the new std::string: it was built with a "
            "torch whose ABI is already new"
        )
    outer = f"{name.python}-{name.abi}-{name.platform.split('.')[0]}"
    if tags and not any(outer in (tag, tag.split(".")[0]) for tag in tags):
        yield f"its WHEEL file has the tags {', '.join(tags)}; its name {outer}"
