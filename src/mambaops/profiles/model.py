"""What a machine should become: the records of a profile; unknown keys are refused, versions are strings.

The descriptions of the fields are the JSON schema's and the fallback reasons of `mambaops profiles --explain`.
"""

# no `from __future__ import annotations`: msgspec takes three times as long over annotations that are texts

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mambaops.knowledge.packages import Package, known, package

Version = Annotated[str, Meta(pattern=r"^\d+(\.\d+)*([.+-]?[a-z0-9.]+)?$")]
Route = Literal["machine", "wheels", "conda", "apt", "runfile"]
Strategy = Literal["store", "runtime", "prebuilt", "source", "fallback"]


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: Annotated[
        Literal["venv", "conda"],
        Meta(description="venv needs nothing but Python; conda brings its own libstdc++ and nvcc"),
    ] = "venv"
    python: Annotated[
        list[Version],
        Meta(min_length=1, description="Python versions, best first; the first that is found"),
    ]
    name: Annotated[str, Meta(description="name of the environment")]
    conda_packages: Annotated[
        list[str], Meta(description="conda packages that the environment is created with")
    ] = []
    channels: Annotated[list[str], Meta(description="conda channels, first wins")] = []


class Torch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    versions: Annotated[
        list[Version],
        Meta(
            min_length=1, description="torch releases, best first; the first that the driver runs"
        ),
    ]
    cuda: Annotated[
        list[Version],
        Meta(description="CUDA builds allowed, best first; empty: what the driver takes"),
    ] = []
    channel: Annotated[
        Literal["stable", "nightly"],
        Meta(
            description="nightly is tried first and stable taken where nightly no longer serves it"
        ),
    ] = "stable"
    keep: Annotated[
        Literal["listed", "any"],
        Meta(
            description="an installed torch that stays: one of `versions`, or any that runs here and is new enough "
            "for the packages"
        ),
    ] = "listed"
    cpu: Annotated[Version, Meta(description="release for an environment without a GPU")] = "2.13.0"
    companions: Annotated[
        list[str], Meta(description="packages that are pinned to torch and installed with it")
    ] = []


class ToolkitSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Annotated[
        str,
        Meta(
            pattern=r"^(\d+(\.\d+)*)?$",
            description="CUDA of nvcc; empty: the minor version that torch was built with",
        ),
    ] = ""
    routes: Annotated[
        list[Route], Meta(description="routes to nvcc, in the order in which they are tried")
    ] = msgspec.field(default_factory=lambda: ["machine", "wheels", "conda"])


class PackageSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Version
    ready_made: Annotated[
        str,
        Meta(
            description="condition on releases that do as well where they can be had as prebuilt wheels; empty: "
            "`version` alone"
        ),
    ] = ""
    origin: Annotated[
        Literal["sdist", "git"],
        Meta(description="git for old releases, whose sdists hold no CUDA sources"),
    ] = "sdist"
    tag: Annotated[str, Meta(description="git tag or branch, for origin git")] = ""
    subdirectory: Annotated[str, Meta(description="folder of setup.py inside the source")] = ""
    sha256: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?$", description="of the sdist")] = ""
    file: Annotated[
        str,
        Meta(description="package file of a package of your own, seen from the profile's folder"),
    ] = ""

    @classmethod
    def by_default(cls, package: Package, file: str = "") -> "PackageSpec":
        """The release that a package's own file names; `file` is where that lies."""
        source = package.source
        return cls(
            version=source.version,
            origin=source.origin,
            tag=source.tag.format(version=source.version) if source.origin == "git" else "",
            subdirectory=source.subdirectory,
            sha256=source.sha256,
            file=file,
        )


class Build(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    arch: Annotated[
        str,
        Meta(description='architectures, "8.0;9.0+PTX"; "gpu" is whatever this machine holds'),
    ] = "gpu"
    ninja: Annotated[bool, Meta(description="parallel builds that can be resumed")] = True
    portable: Annotated[
        bool, Meta(description="link so that the result also runs on glibc 2.31 and older")
    ] = True
    jobs: Annotated[int, Meta(ge=0, description="compilers at once; 0: by cores and memory")] = 0
    nvcc_threads: Annotated[int, Meta(ge=1, description="threads inside one nvcc")] = 1
    patch_cpp_extension: Annotated[
        str,
        Meta(
            pattern=r"^(\d+(\.\d+)*)?$",
            description="CUDA version to add to torch's compiler tables",
        ),
    ] = ""
    env: Annotated[dict[str, str], Meta(description="variables of the build alone")] = {}


class Expect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the machine must be; anything that is not so makes `build-mamba` stop with exit 4."""

    system: Annotated[str, Meta(description="operating system")] = "Linux"
    machine: Annotated[list[str], Meta(description="CPU architectures")] = []
    wsl: Annotated[bool | None, Meta(description="inside WSL or not; null: either")] = None
    distribution: Annotated[list[str], Meta(description='"debian 10", "ubuntu 20.04"')] = []
    capability: Annotated[str, Meta(description="compute capability of the GPU")] = ""
    gpu: Annotated[bool, Meta(description="a GPU is needed")] = False


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: Annotated[Literal["1"], Meta(description="version of this file's format")]
    name: Annotated[
        str, Meta(pattern=r"^[a-z0-9][a-z0-9-]*$", description="what `--profile` takes")
    ]
    title: Annotated[str, Meta(description="one line for the listing")]
    expect: Expect = Expect()
    target: Target
    torch: Torch
    toolkit: ToolkitSpec = ToolkitSpec()
    packages: Annotated[
        dict[str, PackageSpec],
        Meta(description="what is built, by name, in the order of the build"),
    ] = {}
    build: Build = Build()
    obtain: Annotated[
        list[Strategy],
        Meta(description="strategies to get each package, in the order in which they are tried"),
    ] = msgspec.field(
        default_factory=lambda: ["store", "runtime", "prebuilt", "source", "fallback"]
    )
    requirements: Annotated[
        list[str], Meta(description="installed beside the packages; never replaces torch")
    ] = []
    constraints: Annotated[
        list[str], Meta(description="bounds for everything that is installed")
    ] = []
    find_links: Annotated[list[str], Meta(description="pages of wheels to look at as well")] = []
    build_requirements: Annotated[
        list[str], Meta(description="what setup.py needs beside torch")
    ] = msgspec.field(
        default_factory=lambda: ["setuptools>=77", "wheel", "packaging", "ninja>=1.13"]
    )
    runtime_env: Annotated[dict[str, str], Meta(description="variables at run time")] = {}
    models: Annotated[list[str], Meta(description="models that training needs")] = []
    why: Annotated[dict[str, str], Meta(description="reason for each value, by its key path")] = {}


def with_added(profile: Profile, added: Mapping[str, str]) -> Profile:
    """The profile with further packages, each in the release that its file names.

    Args:
        added: name -> package file, "" for a known one. Known packages that one asks for come before it;
            what the profile has itself stays.
    """
    found = dict(profile.packages)
    for name, file in added.items():
        described = package(name, file)
        for other in [known(text) for text in described.together.requires]:
            if other is not None:
                found.setdefault(other.name, PackageSpec.by_default(other))
        found.setdefault(name, PackageSpec.by_default(described, file))
    return msgspec.structs.replace(profile, packages=found)
