"""What a bundle is to hold, and what it says about itself."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import msgspec

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
FORMAT = 1
Kind = Literal["wheel", "source", "model", "script"]


class BundleSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides the content of a bundle.

    `python` "3.11", `machine` "x86_64", `glibc` "2.31" are the other machine's. `requirements` are resolved with their
    dependencies; `wheels` (files) go as they are, without theirs; `sources` (requirements) go as sdists, to be
    compiled there. `indexes` and `find_links` are looked at besides what pip is told of. `imports` must work
    in the end. `models` are folders, or names on Hugging Face.
    """

    name: str
    python: str
    machine: str
    glibc: str
    abi: str = ""
    torch: str | None = None
    requirements: list[str] = []
    constraints: list[str] = []
    wheels: list[Path] = []
    sources: list[str] = []
    indexes: list[str] = []
    find_links: list[str] = []
    prerelease: bool = False
    models: list[str] = []
    imports: list[str] = []
    runtime_env: dict[str, str] = {}

    def digest(self) -> str:
        """64 hexadecimal digits; an interrupted collection is gone on with only for the same content."""
        text = msgspec.json.encode(self, order="sorted", enc_hook=str)
        return hashlib.sha256(text).hexdigest()


class BundleFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file. `path` is relative to the bundle's folder."""

    path: str
    size: int
    sha256: str
    kind: Kind
    package: str = ""
    version: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`manifest.json`. `payload/bundle_install.py` reads it: change both together, and `format` with them.

    `glibc` is what the wheels need; `python` and `machine` are the other machine's.
    """

    format: int = FORMAT
    name: str
    python: str
    machine: str
    glibc: str
    torch: str | None
    requirements: list[str]
    imports: list[str]
    runtime_env: dict[str, str]
    installer: str  # path of pip's wheel
    files: list[BundleFile]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)
