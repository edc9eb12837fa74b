"""Small real wheels, made with nothing but zipfile, and an index that is a folder of them."""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

MakeWheel = Callable[..., Path]


def wheel_members(
    name: str,
    version: str,
    files: dict[str, bytes],
    requires: list[str],
    tag: str = "py3-none-any",
    python: str = "",
) -> dict[str, bytes]:
    folder = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    needs += f"Requires-Python: {python}\n" if python else ""
    members = dict(files)
    members[f"{folder}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}".encode()
    )
    head = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\n"
    pythons, abis, platforms = tag.split("-")
    tags = [f"Tag: {pythons}-{abis}-{platform}\n" for platform in platforms.split(".")]
    members[f"{folder}/WHEEL"] = (head + "".join(tags)).encode()
    rows = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}"
        for path, data in members.items()
    ]
    members[f"{folder}/RECORD"] = "\n".join([*rows, f"{folder}/RECORD,,", ""]).encode()
    return members


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    """Stored, not deflated: wheels with the same members have the same length."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return path


@pytest.fixture
def make_wheel(tmp_path: Path) -> MakeWheel:
    """make_wheel(name, version, size=…, files=…, requires=…, tag=…, python=…, folder=…, filename=…) -> path."""

    def make(
        name: str = "tiny",
        version: str = "1.0",
        *,
        size: int = 0,
        files: dict[str, bytes] | None = None,
        requires: list[str] | None = None,
        tag: str = "py3-none-any",
        python: str = "",
        folder: Path | None = None,
        filename: str | None = None,
    ) -> Path:
        content = {f"{name}/__init__.py": f"__version__ = {version!r}\n".encode(), **(files or {})}
        if size:
            content[f"{name}/blob.bin"] = os.urandom(size)
        members = wheel_members(name, version, content, requires or [], python=python)
        path = (folder or tmp_path / "made") / (filename or f"{name}-{version}-{tag}.whl")
        return write_zip(path, members)

    return make


class Index:
    """A folder that is a simple index (PEP 503) of the files published in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = root.as_uri()

    def publish(self, *files: Path) -> None:
        for file in files:
            name = file.name.split("-")[0].replace("_", "-")
            if file.name.endswith(".tar.gz"):
                name = file.name.rpartition("-")[0].replace("_", "-")
            folder = self.root / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / file.name).write_bytes(file.read_bytes())
            names = sorted(one.name for one in folder.iterdir() if one.name != "index.html")
            links = "".join(f'<a href="{one}">{one}</a>\n' for one in names)
            page = f"<!DOCTYPE html><html><body>{links}</body></html>"
            (folder / "index.html").write_text(page)


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path / "simple")


@pytest.fixture
def no_pip_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the user's pip and uv configuration counts."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
