"""Distributions of Python files alone, made by us: their dist-info, and the wheel (`py3-none-any`)."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from mambaops.core.files import replacing
from mambaops.wheels.record import entry_of, write_record

_WHEEL = "Wheel-Version: 1.0\nGenerator: mambaops\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
# zip files know no time before this
_TIME = (1980, 1, 1, 0, 0, 0)


def with_dist_info(
    info: str, metadata: str, files: Mapping[str, bytes], more: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Path in site-packages -> content, with METADATA, WHEEL, `more` and RECORD.

    Args:
        info: the folder of the dist-info. files: the others. more: further files of the dist-info, by name.
    """
    inside = {"METADATA": metadata.encode(), "WHEEL": _WHEEL.encode(), **more}
    every = {**files, **{f"{info}/{name}": content for name, content in inside.items()}}
    entries = [entry_of(name, content) for name, content in every.items()]
    return {**every, f"{info}/RECORD": write_record(entries, f"{info}/RECORD").encode()}


def write_pure_wheel(
    name: str,
    version: str,
    metadata: str,
    files: Mapping[str, bytes],
    folder: Path,
    *,
    more: Mapping[str, bytes],
) -> Path:
    """Write `NAME-VERSION-py3-none-any.whl`, whole or not at all; the same content gives the same bytes.

    Args:
        name: with underscores. files, more: as in `with_dist_info`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}-{version}-py3-none-any.whl"
    every = with_dist_info(f"{name}-{version}.dist-info", metadata, files, more)
    with replacing(target) as aside, zipfile.ZipFile(aside, "w") as archive:
        for path, content in every.items():
            member = zipfile.ZipInfo(path, _TIME)
            member.external_attr = 0o644 << 16
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    return target
