"""A wheel whose setup.py knows no variable for it is given the build's local version afterwards."""

from __future__ import annotations

import zipfile
from pathlib import Path

from small_wheels import wheel_members, write_zip

from mambaops.compile.wheel import with_local_version
from mambaops.wheels.keys import BuildKey


def test_the_wheel_is_renamed_inside_and_out(tmp_path: Path) -> None:
    key = BuildKey.of(
        package="selective-scan",
        version="0.0.2",
        torch="2.2.2+cu121",
        cuda="12.1",
        cxx11_abi=False,
        python="cp310",
        platform="linux_x86_64",
        architectures=["8.0"],
    )
    tag = "cp310-cp310-linux_x86_64"
    members = wheel_members("selective_scan", "0.0.2", {"selective_scan.py": b""}, [], tag)
    made = write_zip(tmp_path / f"selective_scan-0.0.2-{tag}.whl", members)
    renamed = with_local_version(made, key)
    version = f"0.0.2+{key.local_version()}"
    assert renamed.name == f"selective_scan-{version}-{tag}.whl"
    with zipfile.ZipFile(renamed) as archive:
        metadata = archive.read(f"selective_scan-{version}.dist-info/METADATA").decode()
    assert f"Version: {version}\n" in metadata
    assert with_local_version(renamed, key) == renamed
