"""What is installed for kernels on first use: `mambaops-kernels`, one `py3-none-any` wheel, from sources that were fetched.

It holds two module packages, the code that compiles and launches, upstream's kernel files (cut, with their licences
and a notice of what was changed), the headers of CCCL that they reach, and the scan in PyTorch for CPU tensors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from mambaops.core import paths
from mambaops.runtime import headers
from mambaops.runtime.kernel_files import (
    KernelSource,
    check_binding,
    era_of,
    header_of,
    kernel_files,
    licences,
    parts_of,
    structs_of,
)
from mambaops.runtime.origins import ORIGINS

# faults that a kernel file's text tells of: name, as in `repairs.py`, -> file, text
_FAULTS = {
    "complex groups": ("selective_scan_bwd_kernel.cuh", "+ group_id * params.dB_group_stride)"),
}


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
    folder = ORIGINS[source.package].into
    release = f"{source.package} {source.version}"
    described, known, releases = manifest["files"], manifest["structs"], manifest["releases"]
    faults = manifest["faults"]
    assert isinstance(described, dict) and isinstance(known, dict) and isinstance(releases, dict)
    assert isinstance(faults, list)
    cuts, changed = kernel_files(source), []
    structs = {name: structs_of(one) for name, one in cuts.items() if name.endswith(".h")}
    parts = parts_of(source)
    for part in parts:
        check_binding(source, part)
    wanted = {name for part in parts for name in part.names}
    for name, one in cuts.items():
        files[f"{folder}/{name}"] = one.text.encode()
        if one.removed:
            changed.append(f"{name}: cut {', '.join(sorted(set(one.removed)))}")
        if name in wanted:
            header = header_of(name, one, structs)
            known[f"{folder}/{header}"] = structs[header]
            described[name] = {
                "era": era_of(source, name, one),
                "folder": folder,
                "release": release,
                "header": f"{folder}/{header}",
            }
        faults += [
            fault for fault, (where, text) in _FAULTS.items() if where == name and text in one.text
        ]
    releases[source.package] = {"version": source.version, "sha256": source.sha256}
    files[f"{folder}/NOTICE.mambaops"] = _notice(release, source.sha256, changed).encode()
    for path in licences(source):
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
