"""Packages that are published as sources alone: a wheel is built of those without compiled code."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from bundles import MACHINE, PYTHON, spec
from small_wheels import Index, wheel_members, write_zip

from mambaops.bundle.archive import extract_tar
from mambaops.bundle.collect import collect
from mambaops.core.errors import MachineError, MambaopsError

pytestmark = pytest.mark.usefixtures("offline", "our_python_is_on_path")

# a build backend that needs nothing but Python: the wheel lies in the source
BACKEND = """
import pathlib, shutil
def build_wheel(folder, config_settings=None, metadata_directory=None):
    shutil.copy(pathlib.Path(__file__).parent / "{wheel}", folder)
    {after}
    return "{wheel}"
"""
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def source_alone(
    index: Index, folder: Path, name: str, tag: str = "py3-none-any", after: str = ""
) -> None:
    members = wheel_members(name, "1.0", {f"{name}.py": b""}, [], tag=tag)
    wheel = write_zip(folder / f"{name}-1.0-{tag}.whl", members)
    texts = {
        "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: 1.0\n".encode(),
        "pyproject.toml": f'{PROJECT}[project]\nname = "{name}"\nversion = "1.0"\n'.encode(),
        "backend.py": BACKEND.format(wheel=wheel.name, after=after).encode(),
        wheel.name: wheel.read_bytes(),
    }
    path = folder / f"{name}-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for inside, content in texts.items():
            member = tarfile.TarInfo(f"{name}-1.0/{inside}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    index.publish(path)


def test_a_wheel_is_built_of_what_is_published_as_source_alone(
    published: Index, tmp_path: Path
) -> None:
    said: list[str] = []
    source_alone(published, tmp_path, "onlysource")
    wanted = spec(requirements=["onlysource", "middle", "pip"])
    made = collect(wanted, tmp_path / "o.tar", say=said.append)
    assert "onlysource 1.0: published as source alone, its wheel is built here" in said
    files = {file.path: file.package for file in made.manifest.files if file.kind == "wheel"}
    assert files["wheels/onlysource-1.0-py3-none-any.whl"] == "onlysource"
    inside = extract_tar(made.path, tmp_path / "out")
    assert (inside / "wheels" / "onlysource-1.0-py3-none-any.whl").is_file()
    assert not (tmp_path / "o.tar.work").exists()


def test_compiled_code_is_for_this_machine_alone(published: Index, tmp_path: Path) -> None:
    digits = PYTHON.replace(".", "")
    source_alone(published, tmp_path, "compiled", f"cp{digits}-cp{digits}-linux_{MACHINE}")
    with pytest.raises(MachineError, match=r"compiled 1\.0 holds compiled code") as caught:
        collect(spec(requirements=["compiled", "pip"]), tmp_path / "o.tar")
    assert "find_links" in caught.value.hint


def test_a_source_that_does_not_build(published: Index, tmp_path: Path) -> None:
    source_alone(published, tmp_path, "broken", after="raise SystemExit('no luck')")
    with pytest.raises(
        MambaopsError, match=r"(?s)broken-1\.0\.tar\.gz could not be built:.*no luck"
    ):
        collect(spec(requirements=["broken", "pip"]), tmp_path / "o.tar")
    assert (tmp_path / "o.tar.work").is_dir()  # what was fetched stays
