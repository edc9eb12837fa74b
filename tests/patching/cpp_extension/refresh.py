"""Write excerpts of torch/utils/cpp_extension.py of several torch releases into this folder.

    python tests/patching/cpp_extension/refresh.py 1.13.1 2.14.1 …

Reads that one file out of each wheel through pip's own finder and session (ranges of the archive, not
gigabytes), and keeps the two tables and the function that reads them.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from pip._internal.commands import create_command
from pip._internal.models.target_python import TargetPython
from pip._internal.network.lazy_wheel import LazyZipOverHTTP

HERE = Path(__file__).parent
MEMBER = "torch/utils/cpp_extension.py"
WANTED = {
    "MINIMUM_GCC_VERSION",
    "MINIMUM_CLANG_VERSION",
    "VersionRange",
    "VersionMap",
    "CUDA_GCC_VERSIONS",
    "CUDA_CLANG_VERSIONS",
    "_check_cuda_version",
}
HEADER = """# Excerpt of torch/utils/cpp_extension.py, torch {version}. Copyright (c) 2016- Facebook, Inc and the
# PyTorch contributors. BSD-3-Clause, see LICENSE at https://github.com/pytorch/pytorch
"""
PLATFORMS = ["manylinux1_x86_64", "manylinux2014_x86_64", "manylinux_2_28_x86_64"]


def main(versions: list[str]) -> None:
    command: Any = create_command("download")
    options, _ = command.parse_args(["nothing"])
    with command.main_context():
        session = command.get_default_session(options)
        links = _links(command, options, session)
        for version in versions:
            text = _read(links[version], session)
            path = HERE / f"torch-{version}.txt"
            path.write_text(HEADER.format(version=version) + excerpt(text), encoding="utf-8")
            print(path.name)


def _links(command: Any, options: Any, session: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for python in ((3, 10), (3, 8), (3, 13)):
        target = TargetPython(py_version_info=python, platforms=PLATFORMS)
        finder = command._build_package_finder(options, session, target_python=target)
        for candidate in finder.find_all_candidates("torch"):
            if candidate.link.is_wheel:
                found.setdefault(str(candidate.version), candidate.link)
    return found


def _read(link: Any, session: Any) -> str:
    source = (
        link.file_path
        if link.scheme == "file"
        else LazyZipOverHTTP(link.url_without_fragment, session)
    )
    with ZipFile(source) as wheel:
        return wheel.read(MEMBER).decode("utf-8")


def excerpt(text: str) -> str:
    """The wanted top-level statements, byte for byte."""
    lines = text.splitlines(keepends=True)
    pieces = [
        "".join(lines[node.lineno - 1 : node.end_lineno])
        for node in ast.parse(text).body
        if _name(node) in WANTED
    ]
    return "\n".join(pieces)


def _name(node: ast.stmt) -> str:
    if isinstance(node, ast.FunctionDef):
        return node.name
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    return target.id if isinstance(target, ast.Name) else ""


if __name__ == "__main__":
    main(sys.argv[1:])
