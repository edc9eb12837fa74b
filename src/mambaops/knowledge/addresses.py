"""Addresses that things are fetched from; the default package index is pip's and uv's own affair."""

from __future__ import annotations

import functools

import msgspec

from mambaops.knowledge.tables import minor_of, read


class Pytorch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    stable: str
    nightly: str
    stable_tags: list[str]
    source: str


class Astral(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    index: str
    tags: list[str]
    source: str


class Github(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    releases: str
    source: str


class HuggingFace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    endpoint: str
    mirror: str
    source: str


class Conda(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    nvidia: str
    nvidia_label: str
    conda_forge: str
    miniforge: str
    micromamba: str
    source: str


class Uv(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    installer: str
    source: str


class Nvidia(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    keyring: str
    rpm_repository: str
    runfile: str
    machines: dict[str, str]
    downloads: str
    archive: str
    drivers: str
    cudnn_archive: str
    source: str
    apt: dict[str, str]  # "ubuntu 22.04" → "ubuntu2204"
    rpm: dict[str, str]  # RHEL major → "rhel9"
    runfiles: dict[str, tuple[str, str]]  # "12.1" → full version and driver in the file's name


class Addresses(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pytorch: Pytorch
    astral: Astral
    github: Github
    huggingface: HuggingFace
    conda: Conda
    uv: Uv
    nvidia: Nvidia


@functools.cache
def addresses() -> Addresses:
    """The whole table."""
    return read("addresses", Addresses)


def cuda_tag(cuda: str | None) -> str:
    """ "12.8" or "12.8.1" → "cu128"; None → "cpu"."""
    return "cpu" if cuda is None else "cu" + minor_of(cuda).replace(".", "")


def torch_index(cuda: str | None, *, nightly: bool = False) -> str:
    """PyTorch's own wheel index for a CUDA (None: the CPU build)."""
    table = addresses().pytorch
    return (table.nightly if nightly else table.stable).format(tag=cuda_tag(cuda))


def astral_index(cuda: str) -> str | None:
    """Astral's index of prebuilt GPU packages; None for a CUDA that it does not serve."""
    tag = cuda_tag(cuda)
    table = addresses().astral
    return table.index.format(tag=tag) if tag in table.tags else None


def runfile(cuda: str) -> str | None:
    """NVIDIA's installer for x86_64 Linux of toolkit "12.1"; None when we do not know its name."""
    table = addresses().nvidia
    known = table.runfiles.get(minor_of(cuda))
    return table.runfile.format(version=known[0], driver=known[1]) if known else None
