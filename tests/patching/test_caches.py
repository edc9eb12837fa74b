"""The real pip and the real uv, on caches made for the test."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from mambaops.core import process
from mambaops.patching.caches import purge

uv = pytest.importorskip("uv")


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A pip cache with wheels of three packages, and a uv cache that knows two of them."""
    pip_cache, uv_cache = tmp_path / "pip", tmp_path / "uv"
    monkeypatch.setenv("PIP_CACHE_DIR", str(pip_cache))
    monkeypatch.setenv("UV_CACHE_DIR", str(uv_cache))
    monkeypatch.setenv("UV_OFFLINE", "1")
    for name in ("mamba_ssm-2.2.5", "causal_conv1d-1.5.2", "mamba_ssm_other-1.0"):
        folder = pip_cache / "wheels" / name[0] / name
        folder.mkdir(parents=True)
        (folder / f"{name}-cp311-cp311-linux_x86_64.whl").write_bytes(b"x" * 1000)
    for name in ("mamba_ssm", "other"):
        wheel = _wheel(tmp_path, name)
        process.run(
            [uv.find_uv_bin(), "pip", "install", "--target", tmp_path / "t", "--no-deps", wheel]
        )
    return pip_cache, uv_cache


def _wheel(folder: Path, name: str) -> Path:
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", "x = 1\n" * 1000)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.whl")}


def test_only_these_packages_go(caches: tuple[Path, Path]) -> None:
    pip_cache, uv_cache = caches
    names = ("mamba_ssm-2.2.5", "causal_conv1d-1.5.2", "mamba_ssm_other-1.0")
    assert _names(pip_cache) == {f"{name}-cp311-cp311-linux_x86_64.whl" for name in names}
    with_pip, with_uv = purge()
    assert _names(pip_cache) == {"mamba_ssm_other-1.0-cp311-cp311-linux_x86_64.whl"}
    assert {Path(name).name.split("-")[0] for name in with_pip.removed} == {
        "mamba_ssm",
        "causal_conv1d",
    }
    assert with_pip.size == 2000
    assert with_uv.removed
    assert with_uv.size is not None
    assert with_uv.size > 0
    assert any("other" in str(path) for path in uv_cache.rglob("*")), "uv keeps the other package"
    again = purge()
    assert [item.size for item in again] == [0, 0]
    assert [item.removed for item in again] == [(), ()]


def test_all_takes_everything(caches: tuple[Path, Path]) -> None:
    pip_cache, uv_cache = caches
    with_pip, with_uv = purge(everything=True)
    assert _names(pip_cache) == set()
    assert not any(uv_cache.rglob("*.py"))
    assert with_pip.size == 3000
    assert with_uv.size
    assert not with_pip.failed
    assert not with_uv.failed


def test_a_tool_that_fails_is_said(
    caches: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "uv-broken"
    broken.write_text("#!/bin/sh\necho 'error: cache is locked' >&2\nexit 2\n")
    broken.chmod(0o755)
    monkeypatch.setattr(uv, "find_uv_bin", lambda: str(broken))
    with_pip, with_uv = purge()
    assert not with_pip.failed
    assert with_uv.failed
    assert "cache is locked" in with_uv.said
