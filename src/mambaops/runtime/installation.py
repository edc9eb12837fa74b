"""What is installed for kernels on first use: `mambaops-kernels`, one `py3-none-any` wheel, from sources that were fetched.

It holds two module packages, the code that compiles and launches, upstream's kernel files (cut, with their licences
and a notice of what was changed), the headers of CCCL that they reach, and the scan in PyTorch for CPU tensors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import msgspec

from mambaops.core import paths
from mambaops.core.errors import MambaopsError
from mambaops.runtime import headers
from mambaops.runtime.adapt import Cut, cut
from mambaops.runtime.structs import fields
from mambaops.runtime.tokens import UnknownShape

_KERNEL_SUFFIXES = (".cu", ".cuh", ".h")


class KernelSource(msgspec.Struct, frozen=True, kw_only=True):
    """An unpacked release that kernels are taken from.

    Attributes:
        package: "mamba-ssm" or "causal-conv1d".
        version: its release.
        tree: the unpacked sdist or checkout.
        sha256: of the archive (or what else names the source).
    """

    package: str
    version: str
    tree: Path
    sha256: str


# package -> (folder of its kernels, file of its structs, folder in the wheel, kernel files that are needed)
_FILES = {
    "mamba-ssm": (
        "csrc/selective_scan",
        "selective_scan.h",
        "mamba_ssm",
        ("selective_scan_fwd_kernel.cuh", "selective_scan_bwd_kernel.cuh"),
    ),
    "causal-conv1d": (
        "csrc",
        "causal_conv1d.h",
        "causal_conv1d",
        ("causal_conv1d_fwd.cu", "causal_conv1d_bwd.cu", "causal_conv1d_update.cu"),
    ),
}

# faults that a kernel file's text tells of: name, as in `repairs.py`, -> file, text
_FAULTS = {
    "complex groups": ("selective_scan_bwd_kernel.cuh", "+ group_id * params.dB_group_stride)"),
}


def eras() -> dict[str, dict[str, str]]:
    """Kernel file -> digest of its launchers -> era of the launch rules."""
    text = paths.payload_file("kernels", "mambaops_kernels", "launchers.json").read_text("utf-8")
    return {name: rules for name, rules in json.loads(text).items() if name != "_"}


def kernel_files(source: KernelSource) -> dict[str, Cut]:
    """The kernel files of a release, cut; by name.

    Raises:
        UnknownShape: a file is not built as expected, or its launch rules are not known.
        MambaopsError: the tree holds no kernel files (releases before mamba-ssm 2.2.5 and causal-conv1d 1.5.1
            were published without).
    """
    folder, _, _, wanted = _FILES[source.package]
    found = sorted((source.tree / folder).glob("*"))
    texts = {
        path.name: path.read_text("utf-8") for path in found if path.suffix in _KERNEL_SUFFIXES
    }
    missing = [name for name in wanted if name not in texts]
    if missing:
        raise MambaopsError(
            f"{source.package} {source.version} in {source.tree} holds no {missing[0]}",
            hint="older sdists were published without kernels: take a newer release or a git checkout",
        )
    files = {}
    for name, text in texts.items():
        try:
            files[name] = cut(text, tuple(texts))
        except UnknownShape as error:
            raise UnknownShape(
                f"{source.package} {source.version}, {name}: {error.message}", hint=error.hint
            ) from error
    # explicit instantiations only: nothing is left of them
    return {name: one for name, one in files.items() if name in wanted or not _is_empty(name, one)}


def _is_empty(name: str, one: Cut) -> bool:
    return name.endswith(".cu") and bool(one.instances) and not one.launchers


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


def tree_of_sources(
    sources: tuple[KernelSource, ...], cccl: Mapping[str, Path]
) -> dict[str, bytes]:
    """`sources/…` of the wheel: path -> content, with the manifest.

    Args:
        cccl: "cccl12" and "cccl13" -> include folder of that CCCL, at least one; "cuda11": of CUDA's headers.
    """
    files: dict[str, bytes] = {}
    manifest: dict[str, object] = {"format": 1, "files": {}, "structs": {}, "releases": {}}
    manifest["faults"] = []
    for source in sources:
        _add_source(files, manifest, source)
    for name, folder in cccl.items():
        roots = headers.CUDA_ROOTS if name.startswith("cuda") else headers.ROOTS
        for path, content in headers.closure(folder, roots).items():
            files[f"{name}/{path}"] = content
    manifest["digest"] = _digest(files)
    files["manifest.json"] = json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"
    return files


def _add_source(files: dict[str, bytes], manifest: dict[str, object], source: KernelSource) -> None:
    _, structs, folder, wanted = _FILES[source.package]
    release = f"{source.package} {source.version}"
    described, known, releases = manifest["files"], manifest["structs"], manifest["releases"]
    faults = manifest["faults"]
    assert isinstance(described, dict) and isinstance(known, dict) and isinstance(releases, dict)
    assert isinstance(faults, list)
    changed = []
    for name, one in kernel_files(source).items():
        files[f"{folder}/{name}"] = one.text.encode()
        if one.removed:
            changed.append(f"{name}: cut {', '.join(sorted(set(one.removed)))}")
        if name in wanted:
            era = era_of(source, name, one)
            described[name] = {"era": era, "folder": folder, "release": release}
        faults += [
            fault for fault, (where, text) in _FAULTS.items() if where == name and text in one.text
        ]
        if name == structs:
            known.update(fields(one.text))
    releases[source.package] = {"version": source.version, "sha256": source.sha256}
    files[f"{folder}/NOTICE.mambaops"] = _notice(release, source.sha256, changed).encode()
    for path in sorted(source.tree.glob("LICEN[CS]E*")) + sorted(source.tree.glob("AUTHORS*")):
        files[f"{folder}/{path.name}"] = path.read_bytes()


def _notice(release: str, sha256: str, changed: list[str]) -> str:
    lines = [
        f"The files in this folder are kernel files of {release} (source {sha256}),",
        "under the licence beside them. mambaops changed them: the host's launchers and the explicit",
        "instantiations were cut, each leaving one comment line. Nothing else was changed.",
        "",
        *changed,
    ]
    return "\n".join(lines) + "\n"


def _digest(files: Mapping[str, bytes]) -> str:
    """Of everything that a program can include, our own headers too."""
    own = paths.payload_file("kernels", "mambaops_kernels", "include")
    digest = hashlib.sha256()
    every = {f"include/{p.relative_to(own)}": p.read_bytes() for p in own.rglob("*") if p.is_file()}
    for name, content in sorted({**every, **files}.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
