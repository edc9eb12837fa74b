"""A small index, a bundle of it, and the script that installs it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_wheels import Index
from virtualenv.seed.wheels.embed import get_embed_wheel

from mambaops.bundle.archive import extract_tar
from mambaops.bundle.collect import Bundle, collect
from mambaops.bundle.model import BundleSpec

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
MACHINE = platform.machine()
GLIBC = (os.confstr("CS_GNU_LIBC_VERSION") or "").removeprefix("glibc ")
UPSTREAM = "mamba_ssm-2.2.4+cu12torch2.2cxx11abiTRUE-py3-none-any.whl"


@pytest.fixture
def offline(no_pip_settings, tmp_path, monkeypatch):
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())


@pytest.fixture
def published(index, make_wheel) -> Index:
    """An index with pip (virtualenv's copy: Debian's Python has none) and three small packages that need each other."""
    pips = {get_embed_wheel("pip", version).path for version in ("3.9", PYTHON)}
    index.publish(
        *sorted(pips),
        make_wheel("top", requires=["middle>=1", "old-only; python_version < '3.10'"]),
        make_wheel("middle", size=300_000),
        make_wheel("old_only"),
    )
    return index


def spec(**changes: object) -> BundleSpec:
    values: dict[str, object] = {
        "name": "small",
        "python": PYTHON,
        "machine": MACHINE,
        "glibc": GLIBC,
        "requirements": ["top", "pip"],
        "imports": ["top"],
    }
    return BundleSpec(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture
def made(published, make_wheel, tmp_path) -> Bundle:
    extra = make_wheel("mamba_ssm", "2.2.4", filename=UPSTREAM, requires=["torch", "tilelang"])
    return collect(spec(wheels=[extra]), tmp_path / "out/small.tar")


@pytest.fixture
def our_python_is_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script looks for `pythonX.Y`; the one that runs the tests need not be on the user's PATH."""
    beside = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{beside}{os.pathsep}{os.environ['PATH']}")


def without_network(argv: list[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run in a network namespace that has no network at all, or skip."""
    probe = subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"no network namespace can be made here: {probe.stderr.decode().strip()}")
    return subprocess.run(
        ["unshare", "-rn", *map(str, argv)], capture_output=True, text=True, check=False
    )


def unpacked(bundle: Bundle, folder: Path) -> Path:
    return extract_tar(bundle.path, folder)


def script(folder: Path, *words: object) -> list[str | Path]:
    return ["sh", folder / "install.sh", *map(str, words)]


def wait_for(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
