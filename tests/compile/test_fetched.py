"""Sources from an index, by the target environment's own pip."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from small_wheels import Index

from mambaops.compile.sources import download_sdist
from mambaops.profiles.model import PackageSpec

# a build backend that imports packaging at once, as the setup.py of every release of our packages does
BACKEND = """
import os
from packaging.version import Version

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    os.mkdir(os.path.join(folder, "mamba_ssm-1.0.dist-info"))
    with open(os.path.join(folder, "mamba_ssm-1.0.dist-info", "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: mamba-ssm\\nVersion: %s\\n" % Version("1.0"))
    return "mamba_ssm-1.0.dist-info"
"""
PROJECT = """[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def test_an_environment_without_packaging_can_fetch_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The conda environment of an old torch has a setuptools that brings no `packaging` of its own."""
    tree = tmp_path / "mamba_ssm-1.0"
    tree.mkdir()
    (tree / "backend.py").write_text(BACKEND)
    (tree / "pyproject.toml").write_text(PROJECT)
    (tree / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: mamba-ssm\nVersion: 1.0\n")
    with tarfile.open(tmp_path / "mamba_ssm-1.0.tar.gz", "w:gz") as archive:
        archive.add(tree, tree.name)
    index = Index(tmp_path / "simple")
    index.publish(tmp_path / "mamba_ssm-1.0.tar.gz")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    words = ["-m", "virtualenv", "--quiet", "--no-download", "--no-periodic-update"]
    subprocess.run([sys.executable, *words, tmp_path / "env"], check=True)
    python = tmp_path / "env" / "bin" / "python"
    lacks = subprocess.run([python, "-c", "import packaging"], capture_output=True, check=False)
    assert lacks.returncode == 1
    folder = tmp_path / "fetched"
    folder.mkdir()
    found = download_sdist(
        "mamba-ssm", PackageSpec(version="1.0"), folder, python=python, log=tmp_path / "log"
    )
    assert found == folder / "mamba_ssm-1.0.tar.gz"
