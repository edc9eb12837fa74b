"""What only a look at this machine shows: scripts, build trees, binaries, links, model caches."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from recorded import varied

from mambaops.doctor import live
from mambaops.doctor.model import Check
from mambaops.profiles.load import load_profile


def seen(folder: Path, facts: dict[str, Any] | None = None, profile: str = "") -> dict[str, Check]:
    wanted = load_profile(profile) if profile else None
    found = live.look(varied("base", facts or {}), wanted, folder)
    for check in found:
        # what is not well says why, and what to do; what is well says neither
        assert bool(check.cause) == bool(check.remedy) == (check.state in ("failed", "warning"))
    return {check.id: check for check in found}


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("MAMBA_MODEL", "LIBRARY_PATH"):
        monkeypatch.delenv(name, raising=False)


def test_a_clean_folder_has_nothing_to_tell(tmp_path: Path) -> None:
    assert seen(tmp_path) == {}


def test_scripts_with_windows_line_ends(tmp_path: Path) -> None:
    for name in ("a.sh", "scripts/b.sh", "tools/c.sh", "bin/d.sh", "other/e.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"echo\r\n")
    (tmp_path / "fine.sh").write_bytes(b"echo\n")
    check = seen(tmp_path)["windows-line-ends"]
    assert (check.state, check.repair) == ("failed", "strip-crlf")
    assert check.what == "4 scripts have Windows line ends: a.sh, b.sh, c.sh …"


def clone(folder: Path, package: str = "mamba_ssm", *, old: bool = True) -> Path:
    (folder / "build" / "temp.linux-x86_64-cpython-312").mkdir(parents=True)
    (folder / "csrc").mkdir()
    (folder / "setup.py").write_text(
        f'PACKAGE_NAME = "{package}"\nneeds = ["mamba_ssm"]\nsetup(name=PACKAGE_NAME, requires=needs)\n'
    )
    if old:
        os.utime(folder / "build", (0, 0))
    return folder / "build"


@pytest.mark.parametrize(
    ("name", "package", "old", "stale"),
    [
        ("mamba", "mamba_ssm", True, True),
        ("my-causal-conv1d-fork", "causal_conv1d", True, True),
        ("pytorch_scatter", "torch-scatter", True, True),
        ("mamba", "mamba_ssm", False, False),
        ("mamba-project", "somebody-elses", True, False),
        ("any-name", "mamba_ssm", True, True),
    ],
)
def test_build_folders_older_than_torch(
    tmp_path: Path, name: str, package: str, old: bool, stale: bool
) -> None:
    build = clone(tmp_path / name, package, old=old)
    torch = tmp_path / "torch"
    torch.mkdir()
    (torch / "version.py").write_text("")
    os.utime(torch / "version.py", (1000, 1000))
    found = seen(tmp_path, {"torch": {"version": "2.8.0", "path": str(torch)}})
    assert ("stale-build" in found) is stale
    if stale:
        assert (found["stale-build"].state, found["stale-build"].repair) == (
            "warning",
            "stale-build",
        )
        assert str(build) in found["stale-build"].what


def test_a_build_is_ours_where_any_name_of_its_setup_is(tmp_path: Path) -> None:
    setup = clone(tmp_path / "two").parent / "setup.py"
    setup.write_text('name = "a-part"\nPACKAGE_NAME = "mamba_ssm"\nsetup(name=PACKAGE_NAME)\n')
    clone(tmp_path / "none").with_name("setup.py").unlink()
    torch = tmp_path / "torch"
    torch.mkdir()
    (torch / "version.py").write_text("")
    facts = varied("base", {"torch": {"version": "2.8.0", "path": str(torch)}})
    assert live.stale_builds(facts, tmp_path) == [tmp_path / "two" / "build"]


def test_without_a_torch_no_build_is_stale(tmp_path: Path) -> None:
    clone(tmp_path / "mamba")
    assert "stale-build" not in seen(tmp_path)
    gone = {"torch": {"version": "2.8.0", "path": str(tmp_path / "gone")}}
    assert "stale-build" not in seen(tmp_path, gone)


def package(path: Path) -> dict[str, Any]:
    row = {"name": "mamba-ssm", "version": "2.3.0", "path": "/p", "extensions": [str(path)]}
    return {"packages": {"mamba-ssm": row}}


def test_a_damaged_binary(tmp_path: Path) -> None:
    broken = tmp_path / "selective_scan_cuda.so"
    broken.write_text("no ELF")
    check = seen(tmp_path, package(broken))["binary-unreadable"]
    assert (check.state, check.area) == ("failed", "packages")
    assert check.cause == "the file is damaged"


def test_a_binary_that_is_not_there(tmp_path: Path) -> None:
    assert seen(tmp_path, package(tmp_path / "selective_scan_cuda.so")) == {}


@pytest.mark.parametrize(
    ("need", "have", "state"),
    [
        ("2.32", "2.31", "failed"),
        ("2.32", "2.32", "ok"),
        ("2.4", "2.31", "ok"),
        (None, "2.31", "ok"),
        ("2.32", None, "ok"),
    ],
)
def test_a_binary_loads_from_its_glibc_on(need: str | None, have: str | None, state: str) -> None:
    check = live._loads(Path("selective_scan_cuda.so"), need, have)
    assert (check.state, check.area) == (state, "packages")
    assert check.id == ("binary" if state == "ok" else "binary-needs-newer-glibc")
    assert bool(check.cause) == bool(check.remedy) == (state == "failed")
    assert check.answers == ["upstream-wheel-glibc"]
    assert (need or "any") in check.what


def test_a_guess_makes_way_for_what_was_seen() -> None:
    guess = Check(id="upstream-wheel-glibc", area="packages", state="warning", what="guess")
    other = Check(id="packages", area="packages", state="ok", what="other")
    look = live._loads(Path("selective_scan_cuda.so"), "2.17", "2.31")
    assert live.refined([guess, other], [look]) == [other, look]
    assert live.refined([guess, other], []) == [guess, other]


def test_our_own_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = live.link_folder() / "libcuda.so"
    link.parent.mkdir(parents=True)
    link.write_text("")
    unlinked = {"driver": {"libcuda_link": None}}
    check = seen(tmp_path, unlinked)["libcuda-link"]
    assert (check.state, check.area) == ("warning", "driver")
    assert f"export LIBRARY_PATH={link.parent}" in check.remedy
    assert check.answers == ["libcuda-link-missing"]
    assert seen(tmp_path, {**unlinked, "host": {"wsl": 2}})["libcuda-link"].area == "WSL"
    monkeypatch.setenv("LIBRARY_PATH", f"/x:{link.parent}")
    assert seen(tmp_path, unlinked)["libcuda-link"].state == "ok"
    assert "libcuda-link" not in seen(tmp_path)


def test_models_in_the_hubs_cache(tmp_path: Path) -> None:
    (model,) = load_profile("wsl-5090").models
    missing = seen(tmp_path, profile="wsl-5090")["model-missing"]
    assert missing.state == "warning" and "mambaops fetch-model" in missing.remedy
    assert (missing.area, missing.answers) == ("models", ["models-unknown"])
    snapshot = tmp_path / "hub" / f"models--{model.replace('/', '--')}" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    assert "model-missing" in seen(tmp_path, profile="wsl-5090")
    (snapshot / "config.json").write_text("{}")
    whole = seen(tmp_path, profile="wsl-5090")["model"]
    assert (whole.state, whole.what, whole.remedy) == ("ok", f"{model} is in the cache", "")


def test_a_model_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMBA_MODEL", str(tmp_path / "m"))
    found = seen(tmp_path, profile="wsl-5090")
    assert found["model-folder-empty"].state == "failed"
    assert found["model-folder-empty"].area == "models"
    assert found["model"].state == "ok"
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    assert "model-folder-empty" not in seen(tmp_path, profile="wsl-5090")


def test_where_the_hub_keeps_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert live.hub_cache() == tmp_path / "hub"
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("HF_HOME", "/h")
    assert live.hub_cache() == Path("/h/hub")
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    assert live.hub_cache() == Path("/c/huggingface/hub")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/u")
    assert live.hub_cache() == Path("/u/.cache/huggingface/hub")
