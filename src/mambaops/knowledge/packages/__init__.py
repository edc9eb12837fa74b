"""What each CUDA package is and what its build needs: one TOML file per package, and nothing of it in code.

`docs/packages.md` tells how to write one. A file that lies elsewhere (a person's own package) is read by its
path; everything that takes a package's name takes such a path too.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from packaging.utils import canonicalize_name

from mambaops.core.errors import UsageError
from mambaops.knowledge.addresses import cuda_tag
from mambaops.knowledge.tables import load_toml

FOLDER = Path(__file__).resolve().parent


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the sources come from, where a profile does not say otherwise."""

    version: Annotated[str, Meta(description="release that is built by default")]
    origin: Literal["sdist", "git"] = "sdist"
    sha256: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?$", description="of its sdist")] = ""
    repository: Annotated[str, Meta(description="git address")] = ""
    tag: Annotated[str, Meta(description="git tag; {version} is filled in")] = "v{version}"
    subdirectory: Annotated[str, Meta(description="folder of setup.py inside the source")] = ""
    env: Annotated[
        dict[str, str], Meta(description="set while pip asks setup.py for metadata: no nvcc wanted")
    ] = {}
    without_sources: Annotated[
        str, Meta(description="which sdists hold no CUDA files, in words")
    ] = ""


class Build(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What setup.py needs to compile the kernels, whatever the shell says."""

    requirements: Annotated[
        list[str], Meta(description="beside torch, setuptools, wheel, packaging and ninja")
    ] = []
    env: Annotated[dict[str, str], Meta(description="switches: always compile, with kernels")] = {}
    drop: Annotated[
        list[str], Meta(description="variables of the shell that would change the result")
    ] = []
    local_version: Annotated[
        str, Meta(description="variable that setup.py puts behind the `+` of its version")
    ] = ""
    torch_headers: Annotated[
        bool,
        Meta(description="includes torch's CUDA headers, which ask for cuBLAS' and cuSPARSE's"),
    ] = False
    memory_gib: Annotated[float, Meta(gt=0, description="peak of one compiler")] = 3.0
    cxx_standard: Annotated[
        int, Meta(description="least C++ standard of its own sources; 0: torch decides")
    ] = 0
    split: Annotated[
        list[str], Meta(description="large files of instantiations, divided for many cores")
    ] = []


class Architectures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How setup.py is told the GPU architectures.

    Attributes:
        route: `flags`: it passes -gencode itself, which is rewritten; `environment`: it passes none and
            torch reads TORCH_CUDA_ARCH_LIST; `variable`: it reads a variable of its own.
        variable: the name of that variable. separator: between architectures. form: how one is written
            ("{major}{minor}" makes 90 of 9.0).
    """

    route: Literal["flags", "environment", "variable"]
    variable: str = ""
    separator: str = ";"
    form: str = "{major}.{minor}"


class Modules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is inside a finished build; compiled modules are named as paths in site-packages."""

    imports: Annotated[list[str], Meta(min_length=1, description="must import, in this order")]
    kernels: Annotated[list[str], Meta(min_length=1, description="compiled, with GPU code")]
    host: Annotated[list[str], Meta(description="compiled, without GPU code")] = []


class Wheels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who publishes prebuilt wheels; what they are made of stands in the tables of `knowledge`."""

    published: bool = False
    release: Annotated[
        str, Meta(description="address of a release file; {version}, {file} are filled in")
    ] = ""
    page: Annotated[
        str, Meta(description="page of links per torch and CUDA: {torch}, {tag} are filled in")
    ] = ""


class Together(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Other packages that decide whether this one works."""

    pair: Annotated[
        str, Meta(description="package whose releases must be of the same generation")
    ] = ""
    leads: Annotated[bool, Meta(description="of the pair, the one whose choice decides")] = False
    requires: Annotated[list[str], Meta(description="what an import needs beside torch")] = []
    protects: Annotated[
        list[str], Meta(description="must not be replaced by what a requirement pulls in")
    ] = []


class Check(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Results against a reference, run by the target environment's Python.

    Attributes:
        script: file of the payload that prints one line of JSON per check.
        code: or Python that raises where a result is wrong; `torch` and `device` are there.
        devices: where `code` can run.
    """

    script: str = ""
    code: str = ""
    devices: list[Literal["cpu", "cuda"]] = msgspec.field(default_factory=lambda: ["cuda"])


class Patch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A diff of one source file, pinned to the contents that it was made for.

    Attributes:
        target: the file, relative to the folder of setup.py. sha256: of it before the diff.
        nvcc: the oldest release that needs the diff, "13.0"; "": any. diff: as `diff -u` writes it.
    """

    id: Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    why: str
    target: str
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    diff: str
    nvcc: str = ""


class Package(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One package. `failures` are rules in the form of the failure catalogue, tried with the others."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    title: str
    source: Source
    build: Build = Build()
    architectures: Architectures
    modules: Modules
    wheels: Wheels = Wheels()
    together: Together = Together()
    check: Check = Check()
    patches: list[Patch] = []
    failures: list[dict[str, Any]] = []


def read_package(path: Path) -> Package:
    """A package from its file.

    Raises:
        UsageError: no such file, no TOML, or a key or value that does not belong there.
    """
    try:
        package = load_toml(path, Package)
    except FileNotFoundError:
        raise UsageError(
            f"there is no package file `{path}`", hint="docs/packages.md tells how to write one"
        ) from None
    except (OSError, ValueError) as error:  # TOML's and msgspec's errors are ValueErrors
        raise UsageError(
            f"package file `{path}`: {error}", hint="docs/packages.md has the keys and an example"
        ) from error
    _check(package, path)
    return package


def _check(package: Package, path: Path) -> None:
    """What the types cannot say."""
    for wrong in _complaints(package, path.stem):
        raise UsageError(
            f"package file `{path}`: {wrong}", hint="docs/packages.md has the keys and an example"
        )


def _complaints(package: Package, stem: str) -> Iterator[str]:
    if package.name != stem:
        yield f"it describes `{package.name}`: name it {package.name}.toml"
    if package.architectures.route == "variable" and not package.architectures.variable:
        yield "`architectures.route` needs the `variable`"
    if package.check.script and package.check.code:
        yield "`check` has both a script and code; keep one"
    if package.source.origin == "git" and not package.source.repository:
        yield "`source.origin` git needs the `repository`"


@functools.cache
def packages() -> Mapping[str, Package]:
    """Every package that comes with mambaops, by name."""
    return {path.stem: read_package(path) for path in sorted(FOLDER.glob("*.toml"))}


def is_file(name: str) -> bool:
    """Does the word name a package file instead of a package?"""
    return name.endswith(".toml")


def package(name: str, file: str = "") -> Package:
    """A package by its name (any spelling) or by the path of its file.

    Args:
        file: where a profile says that it is described; "" for those that come with mambaops.

    Raises:
        UsageError: there is none; the nearest name is offered.
    """
    if file or is_file(name):
        return _read_once(file or name)
    normal = canonicalize_name(name)
    if normal not in packages():
        near = difflib.get_close_matches(normal, packages(), n=1)
        raise UsageError(
            f"there is no package `{name}`; there are: {', '.join(packages())}",
            hint=f"did you mean `{near[0]}`?"
            if near
            else "your own is a file: `./NAME.toml` (docs/packages.md)",
        )
    return packages()[normal]


@functools.cache
def _read_once(path: str) -> Package:
    return read_package(Path(path))


def known(name: str) -> Package | None:
    """The package of a name, None where it is none of ours."""
    return packages().get(canonicalize_name(name))


def partner(name: str) -> str:
    """The other package of a pair, "" for one that stands alone."""
    found = known(name)
    return found.together.pair if found else ""


def pairs() -> list[tuple[str, str]]:
    """(the package that leads, the other one) of every pair."""
    return [(one.name, one.together.pair) for one in packages().values() if one.together.leads]


def published() -> list[str]:
    """Names of the packages that somebody publishes prebuilt wheels of, the leading ones first."""
    found = [one for one in packages().values() if one.wheels.published]
    return [one.name for one in sorted(found, key=lambda one: not one.together.leads)]


def release_file(name: str, version: str, file: str) -> str:
    """Address of a file of an upstream release.

    Raises:
        KeyError: this package has no release files.
    """
    found = known(name)
    if found is None or not found.wheels.release:
        raise KeyError(name)
    return found.wheels.release.format(version=version, file=file)


def publishers_page(package: Package, torch: str, cuda: str | None) -> str:
    """Where its publisher lists wheels for torch "2.8.0+cu128" with CUDA "12.8"; "" where there is no page."""
    return package.wheels.page.format(torch=torch.split("+")[0], tag=cuda_tag(cuda))
