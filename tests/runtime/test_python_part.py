"""The Python part of a package as a wheel: its folders, its licence, its metadata, and nothing compiled."""

from __future__ import annotations

import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from mambaops.core.errors import MambaopsError
from mambaops.knowledge.packages import package
from mambaops.runtime.identity import distribution_version
from mambaops.runtime.python_part import write_python_part
from mambaops.wheels.record import read_record

INFO = """Metadata-Version: 2.2
Name: mamba_ssm
Version: 2.3.2
Summary: a long
  summary
Requires-Python: >=3.9
Requires-Dist: einops
Requires-Dist: triton
License-File: LICENSE

Long text.
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "mamba_ssm-2.3.2"
    files = {
        "mamba_ssm/__init__.py": "__version__ = '2.3.2'",
        "mamba_ssm/ops/selective_scan_interface.py": "import selective_scan_cuda",
        "mamba_ssm/ops/table.json": "{}",
        "mamba_ssm/selective_scan_cuda.so": "no",
        "mamba_ssm/__pycache__/x.pyc": "no",
        "csrc/a.cu": "no",
        "tests/test_a.py": "no",
        "LICENSE": "Apache",
        "PKG-INFO": INFO,
    }
    for name, text in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return top


def test_it_holds_the_packages_own_files_and_their_record(tree: Path, tmp_path: Path) -> None:
    wheel = write_python_part(package("mamba-ssm"), "2.3.2+runtime", tree, tmp_path / "out")
    assert wheel.name == "mamba_ssm-2.3.2+runtime-py3-none-any.whl"
    info = "mamba_ssm-2.3.2+runtime.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = HeaderParser().parsestr(archive.read(f"{info}/METADATA").decode())
        recorded = {one.path for one in read_record(archive.read(f"{info}/RECORD").decode())}
    assert [name for name in names if not name.startswith(info)] == [
        "mamba_ssm/__init__.py",
        "mamba_ssm/ops/selective_scan_interface.py",
        "mamba_ssm/ops/table.json",
    ]
    assert recorded == set(names)
    assert f"{info}/licenses/LICENSE" in names
    assert (metadata["Name"], metadata["Version"]) == ("mamba-ssm", "2.3.2+runtime")
    assert metadata["Summary"] == "a long summary"
    assert metadata.get_all("Requires-Dist") == ["einops", "triton"]


def test_a_source_without_the_packages_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text("")
    with pytest.raises(MambaopsError, match="no folder `mamba_ssm`"):
        write_python_part(package("mamba-ssm"), "1+runtime", tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_version_tells_packs_and_sources_apart() -> None:
    plain = distribution_version({}, "13.0", ())
    assert plain.startswith("1.0+x")
    assert distribution_version({}, "12.8", ()) == plain
    hopper = distribution_version({}, "13.0", ("9.0",))
    assert hopper.startswith("1.0+cu130.sm90.x")
    versions = {
        plain,
        hopper,
        distribution_version({}, "12.8", ("9.0",)),
        distribution_version({}, "13.0", ("9.0", "12.0")),
        distribution_version({"mamba-ssm": "0" * 64}, "13.0", ("9.0",)),
    }
    assert len(versions) == 5
