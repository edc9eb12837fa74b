"""The kernel files of a release: which there are, cut, with the launch rules and the structs that are known of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from mambaops.core import paths
from mambaops.core.errors import MambaopsError
from mambaops.knowledge.packages import packages
from mambaops.runtime.adapt import Cut, cut, digest_of
from mambaops.runtime.origins import ORIGINS, Part
from mambaops.runtime.structs import fields
from mambaops.runtime.tokens import UnknownShape

_KERNEL_SUFFIXES = (".cu", ".cuh", ".h")


class KernelSource(msgspec.Struct, frozen=True, kw_only=True):
    """An unpacked release that kernels are taken from.

    Attributes:
        package: "mamba-ssm", "causal-conv1d" or "selective-scan".
        version: its release.
        tree: the unpacked sdist or checkout.
        sha256: of the archive (or what else names the source).
    """

    package: str
    version: str
    tree: Path
    sha256: str


def eras() -> dict[str, dict[str, str]]:
    """Kernel file -> digest of its launchers -> era of the launch rules."""
    text = paths.payload_file("kernels", "mambaops_kernels", "launchers.json").read_text("utf-8")
    return {name: rules for name, rules in json.loads(text).items() if name != "_"}


def kernel_files(source: KernelSource) -> dict[str, Cut]:
    """The kernel files of a release, cut; by name below the folder of its kernels.

    Raises:
        UnknownShape: a file is not built as expected, or its launch rules are not known.
        MambaopsError: the tree holds no kernel files (releases before mamba-ssm 2.2.5 and causal-conv1d 1.5.1
            were published without).
    """
    origin = ORIGINS[source.package]
    top, parts = source.tree / origin.folder, parts_of(source)
    texts = {
        path.relative_to(top).as_posix(): path.read_text("utf-8")
        for folder in dict.fromkeys(["", *(part.folder for part in parts)])
        for path in sorted((top / folder).glob("*"))
        if path.suffix in _KERNEL_SUFFIXES
    }
    files = {}
    for name, text in texts.items():
        try:
            files[name] = cut(text, tuple(_included_as(name, texts)))
        except UnknownShape as error:
            raise UnknownShape(
                f"{source.package} {source.version}, {name}: {error.message}", hint=error.hint
            ) from error
    wanted = {name for part in parts for name in part.names}
    # explicit instantiations only: nothing is left of them
    return {name: one for name, one in files.items() if name in wanted or not _is_empty(name, one)}


def _is_empty(name: str, one: Cut) -> bool:
    return name.endswith(".cu") and bool(one.instances) and not one.launchers


def parts_of(source: KernelSource) -> list[Part]:
    """The modules whose kernel files a release holds.

    Raises:
        MambaopsError: none, or not all where all belong together.
    """
    origin = ORIGINS[source.package]
    top, found, missing = source.tree / origin.folder, [], []
    for part in origin.parts:
        lacking = [name for name in part.names if not (top / name).is_file()]
        missing += lacking
        found += [] if lacking else [part]
    if found and (origin.optional or not missing):
        return found
    raise MambaopsError(
        f"{source.package} {source.version} in {source.tree} holds no {missing[0]}",
        hint="older sdists were published without kernels: take a newer release or a git checkout",
    )


def _included_as(name: str, texts: Mapping[str, str]) -> list[str]:
    """What a file can include of its release's others: those beside it, and those of the top folder."""
    folder = name.rpartition("/")[0]
    return [one.rpartition("/")[2] for one in texts if one.rpartition("/")[0] in (folder, "")]


def era_of(source: KernelSource, name: str, one: Cut) -> str:
    """The era of a kernel file's launch rules.

    Raises:
        UnknownShape: launchers that nobody has read: a launch by guess would give wrong numbers.
    """
    era = eras().get(name, {}).get(one.launchers)
    if era is None:
        raise UnknownShape(
            f"the launchers of {source.package} {source.version} in {name} (digest {one.launchers}) are "
            "not among those whose rules are known",
            hint="take the kernels of a known release (they serve every version's Python part), or "
            "build these with `--obtain source`",
        )
    return era


def check_binding(source: KernelSource, part: Part) -> None:
    """The host's checks of a module are those that ours were read from.

    Raises:
        UnknownShape: they are others: what is called, and with what, is not known.
    """
    if not part.binding:
        return
    name = part.below(part.binding)
    path = source.tree / ORIGINS[source.package].folder / name
    digest = digest_of(path.read_text("utf-8")) if path.is_file() else "missing"
    if digest not in eras().get(name, {}):
        raise UnknownShape(
            f"the bindings of {source.package} {source.version} in {name} (digest {digest}) are not known",
            hint="take the repository's own; others are built with `--obtain source`",
        )


def structs_of(one: Cut) -> dict[str, list[str]]:
    """A header's parameter structs; others hold no plain numbers and are none."""
    return fields(one.text) if "SSMParams" in one.text or "ConvParams" in one.text else {}


def header_of(name: str, one: Cut, structs: Mapping[str, object]) -> str:
    """The included header that defines the kernel's struct.

    Raises:
        UnknownShape: none does, or several do.
    """
    folder = name.rpartition("/")[0]
    included = re.findall(r'^\s*#\s*include\s*"([^"]+)"', one.text, re.MULTILINE)
    places = [place for word in included for place in (f"{folder}/{word}", word)]
    found = [place for place in places if structs.get(place)]
    if len(set(found)) != 1:
        raise UnknownShape(f"{name} includes {len(set(found))} headers with parameter structs")
    return found[0]


def licences(source: KernelSource) -> list[Path]:
    """Of the release; of the repository where that is the person's clone and its package a folder of it."""
    deep = len(Path(packages()[source.package].source.subdirectory).parts)
    tops = [source.tree, *source.tree.resolve().parents[deep - 1 : deep]]
    named = ("LICEN[CS]E*", "AUTHORS*")
    found = [sorted(path for one in named for path in top.glob(one)) for top in tops[: deep + 1]]
    return next((paths for paths in found if paths), [])
