"""What upstream's and Astral's workflows planned, multiplied out from their matrices, without a network."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec.structs import replace
from packaging.version import Version

from mambaops.facts.model import Facts
from mambaops.knowledge.addresses import astral_index
from mambaops.knowledge.packages import known as package_known
from mambaops.knowledge.packages import release_file
from mambaops.knowledge.releases import releases
from mambaops.knowledge.tables import minor_of, read
from mambaops.knowledge.torch_builds import TorchRow, torch_row
from mambaops.knowledge.wheel_sources import AstralTorch, ngc_image, wheel_sources
from mambaops.wheels.builds import Build
from mambaops.wheels.candidates import Candidate, abi_of_torch, from_name, upstream_cubins
from mambaops.wheels.names import WheelName
from mambaops.wheels.sources.seen import as_seen, listings, releases_of

Cell = tuple[str, str, str, str, str]  # os, Python, torch, CUDA, ABI
_FIELDS = ("os", "python", "torch", "cuda", "abi")


class Matrix(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One job matrix; see the head of `wheels_planned.toml`."""

    package: str
    releases: list[str]
    planned: int
    os: list[str]
    python: list[str]
    torch: list[str]
    cuda: list[str]
    cuda_tag: str
    exclude: list[dict[str, str]] = []
    torch_cuda: dict[str, str] = {}
    named: dict[str, str] = {}
    seen: list[str] = []
    expect: str = ""
    why: str = ""

    def cells(self) -> Iterator[Cell]:
        """The jobs that are not excluded, in the workflow's order."""
        for cell in itertools.product(
            self.os, self.python, self.torch, self.cuda, ("FALSE", "TRUE")
        ):
            named = dict(zip(_FIELDS, cell))
            if not any(all(named[k] == v for k, v in gap.items()) for gap in self.exclude):
                yield cell


class _Planned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    matrix: list[Matrix]


@functools.cache
def matrices() -> tuple[Matrix, ...]:
    """Every job matrix that upstream's tags had."""
    return tuple(read("wheels_planned", _Planned).matrix)


def planned_names(package: str, version: str) -> list[str]:
    """The file names that a release's workflow planned, in its order; [] for an unknown release."""
    return [
        str(_wheel_name(matrix, version, cell))
        for matrix in matrices()
        if matrix.package == package and version in matrix.releases
        for cell in matrix.cells()
    ]


def planned(package: str) -> Iterator[Candidate]:
    """Everything that upstream's and Astral's workflows planned of a package."""
    yield from _upstream(package)
    yield from _astral(package)


def tag_of(package: str, name: str) -> str | None:
    """The release that a file of this name is to be had from; None where none planned it."""
    return next((one.tag for one in _upstream(package) if one.name == name), None)


class UpstreamPlan:
    """Upstream's release files, as planned, and as seen where somebody has looked."""

    name = "upstream"

    def candidates(self, package: str, facts: Facts) -> Iterable[Candidate]:
        known = package_known(package)
        listing = listings().get(releases_of(package)) if known and known.wheels.release else None
        yield from as_seen(package, self.name, _upstream(package), listing)
        if facts.torch is not None and (image := ngc_image(facts.torch.version)):
            yield from _ngc(package, facts, image)


class AstralIndexPlan:
    """Astral's index, as its matrix plans it, and as seen where somebody has looked."""

    name = "astral"

    def candidates(self, package: str, facts: Facts) -> Iterable[Candidate]:
        seen = listings()
        yield from (one for one in _astral(package) if one.url not in seen)
        for address in dict.fromkeys(one.url for one in _astral(package)):
            if address in seen:
                yield from as_seen(package, self.name, (), seen[address])


class OtherInstallers:
    """conda-forge and Hugging Face kernels: not wheels, named so that nothing is forgotten."""

    name = "other"

    def candidates(self, package: str, facts: Facts) -> Iterable[Candidate]:
        for row in wheel_sources().other:
            if row.package == package:
                yield Candidate(
                    name=row.name,
                    package=package,
                    version="",
                    source=row.source,
                    machine="any",
                    needs=row.needs,
                    why=row.why,
                )


@functools.cache
def _upstream(package: str) -> tuple[Candidate, ...]:
    """Several tags hold files of one name: first those of which files were seen, then the newest."""
    tags = [(one, tag) for one in matrices() if one.package == package for tag in one.releases]
    tags.sort(key=lambda pair: (pair[1] in pair[0].seen, Version(pair[1])), reverse=True)
    return tuple(_candidate(matrix, tag, cell) for matrix, tag in tags for cell in matrix.cells())


def _wheel_name(matrix: Matrix, version: str, cell: Cell) -> WheelName:
    os, python, torch, cuda, abi = cell
    tag = "cp" + python.replace(".", "")
    major, minor, *_ = cuda.split(".")
    return WheelName(
        package=matrix.package,
        version=matrix.named.get(version, version),
        build=Build(
            scheme="upstream",
            cuda=major if matrix.cuda_tag == "major" else f"{major}.{minor}",
            torch=minor_of(torch),
            cxx11_abi=abi == "TRUE",
        ),
        python=tag,
        abi=tag + "m" if python == "3.7" else tag,
        platform="linux_aarch64" if os.endswith("-arm") else "linux_x86_64",
    )


def _candidate(matrix: Matrix, version: str, cell: Cell) -> Candidate:
    _, _, torch, cuda, abi = cell
    name = _wheel_name(matrix, version, cell)
    inside = matrix.torch_cuda.get(f"{torch}/{cuda.split('.')[0]}")
    url = release_file(matrix.package, version, str(name))
    return replace(
        from_name(name, "upstream", url=url, status="planned"),
        tag=version,
        seen="its release" if version in matrix.seen else "",
        built_with=torch,
        nvcc=cuda,
        cubins=upstream_cubins(matrix.package, version, cuda),
        cxx11_abi=_real_abi(torch, inside, abi == "TRUE"),
        impossible=_why_impossible(matrix, name, torch, inside),
    )


def _real_abi(torch: str, cuda: str | None, named: bool) -> bool:
    """FALSE in a name forces nothing: a torch with the new ABI gives it to whatever is built on it."""
    return named or (cuda is not None and "dev" not in torch and abi_of_torch(torch, cuda) is True)


def _why_impossible(matrix: Matrix, name: WheelName, torch: str, inside: str | None) -> str:
    """Why a planned job cannot have made a wheel, "" where nothing speaks against it."""
    if matrix.expect == "none":
        return matrix.why
    major = (name.build.cuda or "").split(".")[0]
    if inside and inside.split(".")[0] != major:
        return f"its job put torch for CUDA {inside} beside nvcc {major}: it cannot have built"
    row = torch_row(torch)
    python = f"{name.python[2]}.{name.python[3:]}"
    if row is not None and "dev" not in torch:
        if major not in {version.split(".")[0] for version in row.cuda}:
            return f"torch {row.minor} was never made for CUDA {major}"
        if python not in row.python or (
            name.machine == "aarch64" and python in _no_arm_python(row)
        ):
            return f"torch {row.minor} was never made for Python {python}"
    if name.machine == "aarch64" and (row is None or _no_arm(row.minor, major)):
        return f"torch {minor_of(torch)} for CUDA {major} has no aarch64 wheel"
    return ""


def _no_arm(minor: str, major: str) -> bool:
    """CUDA wheels of torch for aarch64 begin with 2.4 (CUDA 12.4); 11.8 was never made."""
    return Version(minor) < Version("2.4") or major == "11"


def _no_arm_python(row: TorchRow) -> list[str]:
    """Versions that upstream calls experimental have no aarch64 wheel."""
    return row.python_experimental


def _ngc(package: str, facts: Facts, image: str) -> Iterator[Candidate]:
    since = {row.package: row.since for row in wheel_sources().ngc}[package]
    cuda = facts.torch.cuda if facts.torch else None
    tag = "cp" + minor_of(facts.python.version).replace(".", "")
    for row in releases(package):
        if cuda and row.built_on and Version(row.version) >= Version(since):
            name = WheelName(
                package=package,
                version=row.version,
                build=Build(scheme="ngc", cuda=cuda.split(".")[0], torch=image, cxx11_abi=True),
                python=tag,
                abi=tag,
                platform=f"linux_{facts.host.machine}",
            )
            url = release_file(package, row.version, str(name))
            yield replace(
                from_name(name, "upstream", url=url, status="planned"),
                why="which of NVIDIA's images got wheels is not known",
            )


@functools.cache
def _astral(package: str) -> tuple[Candidate, ...]:
    plan = wheel_sources().astral
    return tuple(
        _astral_candidate(version.package, version.version, row, machine, cuda, python)
        for version in plan.version
        if version.package == package
        for row in plan.torch
        if Version(minor_of(row.torch)) <= Version(version.torch_until)
        for machine, versions in _machines(row).items()
        for cuda in versions
        for python in row.python
    )


def _machines(row: AstralTorch) -> Mapping[str, list[str]]:
    return {"x86_64": row.x86_64, "aarch64": row.aarch64}


def _astral_candidate(
    package: str, version: str, row: AstralTorch, machine: str, cuda: str, python: str
) -> Candidate:
    tag = "cp" + python.replace(".", "")
    name = WheelName(
        package=package,
        version=version,
        build=Build(scheme="astral", cuda=cuda, torch=minor_of(row.torch)),
        python=tag,
        abi=tag,
        platform=".".join(f"{one}_{machine}" for one in row.platform),
    )
    index = astral_index(cuda) or ""
    # the index, not the file: its exact platform tag is only known from the listing
    planned = from_name(name, "astral", url=f"{index}{package}/", status="planned")
    return replace(planned, built_with=row.torch)
