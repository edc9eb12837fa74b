"""The built wheel carries everything: profiles, patches, tables, the code for the target interpreter."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mambaops.core.paths import CHECKOUT, PACKAGE
from mambaops.profiles.load import names

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    argv = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(folder)]
    done = subprocess.run([*argv, str(CHECKOUT)], capture_output=True, text=True, check=False)
    if done.returncode and "No matching distribution" in done.stderr + done.stdout:
        pytest.skip("no package index: the build backend cannot be fetched")
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_every_file_of_the_package_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    for path in PACKAGE.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert f"mambaops/{path.relative_to(PACKAGE).as_posix()}" in inside
    assert {f"mambaops/env_profiles/{name}.yaml" for name in names()} <= inside
    assert {"mambaops/patches/catalogue.yaml", "mambaops/py.typed"} <= inside
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in inside)
    assert not [name for name in inside if not name.startswith("mambaops")]


def test_installed_it_finds_its_profiles_and_patches(wheel: Path, tmp_path: Path) -> None:
    """Run from the wheel itself, in a folder that is no checkout."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = (
        "import sys; sys.path.insert(0, '.'); import mambaops; print(mambaops.__file__); "
        "from mambaops.profiles.load import names; print(' '.join(names())); "
        "from mambaops.patching.catalogue import load; print(len(list(load())))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    where, profiles, patches = done.stdout.splitlines()
    assert (tmp_path / where).resolve() == (tmp_path / "mambaops" / "__init__.py").resolve()
    assert profiles.split() == names()
    assert int(patches) > 5
