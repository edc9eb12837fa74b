"""install-fallback in real environments: put in, refused, taken out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mambaops.core.errors import MambaopsError
from mambaops.fallback import install as fallback

NAMES = {"selective_scan_cuda.py", "causal_conv1d_cuda.py"}


@pytest.fixture(autouse=True)
def compiled_modules_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on most machines, whatever this one is set to."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)


@pytest.fixture
def python(make_environment: Callable[[], Path]) -> Path:
    return make_environment()


def site(python: Path) -> Path:
    return next((python.parent.parent / "lib").glob("python*/site-packages"))


def mambaops(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mambaops", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def pip(python: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


def test_installed_used_and_uninstalled_by_pip(python: Path) -> None:
    before = {p.name for p in site(python).iterdir()}
    done = mambaops("install-fallback", "--python", python, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["action"] == "installed"
    assert set(said["files"]) >= NAMES
    assert "mamba-ssm itself is not installed" in done.stderr
    code = (
        "import torch, selective_scan_cuda as s\n"
        "u = torch.randn(1, 4, 9)\n"
        "out, x = s.fwd(u, u, -torch.rand(4, 2), u[:, :2, :], u[:, :2], None, None, None, True)\n"
        "print(s.__mambaops_standin__, out.shape == u.shape, 'mambaops' in dir())"
    )
    shown = subprocess.run(
        [str(python), "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split() == ["True", "True", "False"]
    assert "mambaops-fallback" in pip(python, "list", "--format=freeze")
    pip(python, "uninstall", "-y", "mambaops-fallback")
    # Python's own folder of what it has imported stays, unless PYTHONDONTWRITEBYTECODE is set
    assert {p.name for p in site(python).iterdir()} - {"__pycache__"} == before


def test_twice_is_once_and_remove_leaves_nothing(python: Path) -> None:
    before = {p.name for p in site(python).iterdir()}
    first = fallback.install(python)
    assert fallback.install(python).files == first.files
    assert set(fallback.remove(python).files) == set(first.files)
    assert {p.name for p in site(python).iterdir()} == before
    assert fallback.remove(python).action == "nothing"


@pytest.mark.parametrize("kept", ["dist-info", "package", "both, without RECORD"])
def test_what_a_killed_install_left_is_put_right_by_the_next(kept: str, python: Path) -> None:
    before = {p.name for p in site(python).iterdir()}
    first = fallback.install(python)
    (info,) = site(python).glob("mambaops_fallback-*.dist-info")
    for name in NAMES:
        (site(python) / name).unlink()
    if kept == "dist-info":
        shutil.rmtree(site(python) / "mambaops_fallback")
    elif kept == "package":
        shutil.rmtree(info)
    else:
        (info / "RECORD").unlink()
    assert fallback.install(python).files == first.files
    fallback.remove(python)
    assert {p.name for p in site(python).iterdir()} == before


@pytest.mark.parametrize("tag", ["cpython-{0}{1}-x86_64-linux-gnu", "cpython-27-x86_64-linux-gnu"])
def test_refused_where_a_real_one_is_even_a_broken_one(python: Path, tag: str) -> None:
    """A truncated extension, and one that was built for another Python."""
    real = site(python) / f"selective_scan_cuda.{tag.format(*sys.version_info)}.so"
    real.write_bytes(b"\x7fELF")
    done = mambaops("install-fallback", "--python", python)
    assert done.returncode == 1
    assert str(real) in done.stderr
    assert "file too short" in done.stderr or "another Python" in done.stderr
    assert "pip uninstall mamba-ssm" in done.stderr
    assert not (site(python) / "causal_conv1d_cuda.py").exists()


def test_an_environment_without_torch_is_refused(python: Path) -> None:
    (site(python) / "base.pth").unlink()
    with pytest.raises(MambaopsError, match="has no torch"):
        fallback.install(python)
