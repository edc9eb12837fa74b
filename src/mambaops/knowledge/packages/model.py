"""The keys of a package file, as records: unknown keys and wrong types are refused with their path."""

# no `from __future__ import annotations`: msgspec takes three times as long over annotations that are texts

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta


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
    """One package. `failures` are rules in the form of the failure catalogue, tried with the others.

    Attributes:
        runtime: its kernels can also be compiled by NVRTC when they are first used (`mambaops.runtime`); "given": where
            the person names their source.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    title: str
    source: Source
    build: Build = Build()
    architectures: Architectures
    modules: Modules
    runtime: bool | Literal["given"] = False
    wheels: Wheels = Wheels()
    together: Together = Together()
    check: Check = Check()
    patches: list[Patch] = []
    failures: list[dict[str, Any]] = []
