"""What a user gets wrong: a clear error, the documented exit code, no traceback, nothing half-done."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from mambaops.compile.sources import fetch
from mambaops.core.errors import MambaopsError, UsageError
from mambaops.profiles.model import PackageSpec


def mambaops(*words: str, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "MAMBAOPS_HOME": str(home), "MAMBAOPS_CACHE": str(home) + "-cache", **more}
    argv = [sys.executable, "-m", "mambaops", *words]
    return subprocess.run(argv, capture_output=True, text=True, env=env, check=False, timeout=200)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["build-mamba", "--profile", "wsl-5009"], 2, "did you mean `wsl-5090`"),
        (["build-mamba", "--arch", "90"], 2, "is no compute capability"),
        (["build-mamba", "--arch", "9.0;;8.0"], 2, "an empty entry"),
        (["build-mamba", "--torch", "new"], 2, "`new` is not a version"),
        (["build-mamba", "--source", "/tmp/x"], 2, "does not say which package"),
        (["build-mamba", "--source", "mamba=/tmp/x"], 2, "there is no package `mamba`"),
        (["build-mamba", "--source", "mamba-ssm=/no/such"], 2, "no such folder or archive"),
        (["build-mamba", "--obtain", "prebuild"], 2, "did you mean `prebuilt`"),
        (["build-mamba", "--profile", "wsl-5090"], 4, "is for another machine"),
        (["build-mamba", "--profile", "windows-5090"], 4, "the system is Linux, not Windows"),
        (["build-mamba", "--jobs", "x"], 2, "`x` stands where a whole number is wanted"),
        (["plan", "--facts", "/no/such.json"], 2, "cannot be read"),
        (["verify"], 1, "there is no environment"),
        (["build-wheel", "--package", "numpy"], 2, "there is no package `numpy`"),
    ],
)
def test_a_clear_error_and_its_exit_code(
    words: list[str], status: int, message: str, tmp_path: Path
) -> None:
    done = mambaops(*words, home=tmp_path / "home")
    assert (done.returncode, message in done.stderr) == (status, True), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home" / "envs").exists()


def test_invoke_gives_the_same_error(tmp_path: Path) -> None:
    from mambaops.core.paths import CHECKOUT

    argv = [sys.executable, "-m", "invoke", "build-mamba", "--profile", "nope"]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=CHECKOUT, check=False)
    assert done.returncode == 2
    assert "there is no profile `nope`" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["plan", "--jobs", "x"], ["create-venv", "-j", "x"]])
def test_invoke_says_where_a_number_is_wanted(words: list[str]) -> None:
    from mambaops.core.paths import CHECKOUT

    argv = [sys.executable, "-m", "invoke", *words]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=CHECKOUT, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: `x` stands where a whole number is wanted\n"


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("not a folder", encoding="utf-8")
    done = mambaops("build-mamba", home=occupied / "home")
    assert done.returncode == 1
    assert "cannot be written to" in done.stderr
    assert "MAMBAOPS_HOME" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["build-mamba"],
        ["install-torch", "--profile", "local"],
        ["install-toolkit", "--arch", "9.0"],
    ],
    ids=lambda words: words[0],
)
def test_without_a_network_nothing_is_half_done(words: list[str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    offline = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_FIND_LINKS": "",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_RETRIES": "0",
    }
    done = mambaops(*words, home=home, **offline)
    if "BLOCKED check-space" in done.stderr:
        pytest.skip("needs 10 GiB of free disk, or nothing is begun")
    assert done.returncode == 1
    assert "could not be installed" in done.stderr
    assert "install-torch.log" in done.stderr
    assert "Traceback" not in done.stderr
    outcome = next(home.glob("runs/*/outcome.json")).read_text(encoding="utf-8")
    assert '"failed"' in outcome


def sdist(folder: Path, version: str = "9.9.9", *, kernels: bool = True) -> Path:
    """A small sdist of mamba-ssm, in a folder that pip is pointed at."""
    tree = folder / f"mamba_ssm-{version}"
    (tree / "csrc").mkdir(parents=True)
    setup = f"from setuptools import setup\nsetup(name='mamba-ssm', version='{version}')\n"
    (tree / "setup.py").write_text(setup, encoding="utf-8")
    (tree / "PKG-INFO").write_text(
        f"Metadata-Version: 2.1\nName: mamba-ssm\nVersion: {version}\n", encoding="utf-8"
    )
    if kernels:
        (tree / "csrc" / "a.cu").write_text("// kernel\n", encoding="utf-8")
    archive = folder / f"{tree.name}.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(tree, tree.name)
    return archive


def offline_pip(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))


def test_an_sdist_is_fetched_and_its_hash_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = sdist(tmp_path / "index")
    offline_pip(monkeypatch, archive.parent)
    good = hashlib.sha256(archive.read_bytes()).hexdigest()
    into, log = tmp_path / "into", tmp_path / "log"
    spec = PackageSpec(version="9.9.9", sha256=good)
    tree = fetch("mamba-ssm", spec, into, python=Path(sys.executable), log=log)
    assert tree.sha256 == good
    assert (Path(tree.path) / "csrc" / "a.cu").is_file()


def test_a_wrong_hash_is_refused_and_nothing_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = sdist(tmp_path / "index")
    offline_pip(monkeypatch, archive.parent)
    into = tmp_path / "into"
    spec = PackageSpec(version="9.9.9", sha256="0" * 64)
    with pytest.raises(MambaopsError, match="is not the one that the profile names"):
        fetch("mamba-ssm", spec, into, python=Path(sys.executable), log=tmp_path / "log")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "log"]


def test_a_release_whose_sdist_has_no_kernels_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = sdist(tmp_path / "index", kernels=False)
    offline_pip(monkeypatch, archive.parent)
    spec = PackageSpec(version="9.9.9")
    with pytest.raises(MambaopsError, match="holds no CUDA files") as caught:
        fetch(
            "mamba-ssm",
            spec,
            tmp_path / "into",
            python=Path(sys.executable),
            log=tmp_path / "log",
        )
    assert "--source mamba-ssm=PATH" in caught.value.hint
    assert not (tmp_path / "into").exists()


def test_a_release_that_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offline_pip(monkeypatch, tmp_path)
    spec = PackageSpec(version="0.0.1")
    with pytest.raises(MambaopsError, match=r"has no source of `mamba-ssm==0\.0\.1`"):
        fetch(
            "mamba-ssm",
            spec,
            tmp_path / "into",
            python=Path(sys.executable),
            log=tmp_path / "log",
        )


def test_a_broken_archive_of_ones_own(tmp_path: Path) -> None:
    archive = tmp_path / "mamba.tar.gz"
    archive.write_bytes(b"\x1f\x8b not gzip at all")
    spec = PackageSpec(version="9.9.9")
    with pytest.raises(MambaopsError, match="cannot be unpacked"):
        fetch(
            "mamba-ssm",
            spec,
            tmp_path / "into",
            python=Path(sys.executable),
            log=tmp_path / "log",
            given=str(archive),
        )
    assert not (tmp_path / "into").exists()


def test_a_folder_without_a_setup_py_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    from mambaops.cli.flags import flags_of
    from mambaops.cli.request import Request

    with pytest.raises(UsageError, match=r"holds no setup\.py"):
        flags_of(Request(source=[f"mamba-ssm={tmp_path}"]))


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    place = tmp_path / "small"
    place.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(argv, capture_output=True, check=False).returncode:
        pytest.skip("making a small disk needs root and the right to mount")
    return place


def test_a_full_disk_is_told_before_anything_is_begun(small_disk: Path) -> None:
    try:
        done = mambaops("build-mamba", home=small_disk / "home")
        assert done.returncode == 4
        assert "GiB free" in done.stderr
        assert "MAMBAOPS_HOME" in done.stderr
    finally:
        subprocess.run(["umount", str(small_disk)], check=True)


def test_a_disk_that_fills_up_while_unpacking(tmp_path: Path, small_disk: Path) -> None:
    archive = sdist(tmp_path / "index")
    tree = tmp_path / "index" / "mamba_ssm-9.9.9"
    (tree / "csrc" / "large.cu").write_bytes(b"x" * 4_000_000)
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(tree, tree.name)
    try:
        with pytest.raises(MambaopsError, match="No space left"):
            fetch(
                "mamba-ssm",
                PackageSpec(version="9.9.9"),
                small_disk / "into",
                python=Path(sys.executable),
                log=tmp_path / "log",
                given=str(archive),
            )
        assert list(small_disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small_disk)], check=True)


def test_an_environment_is_removed_whole_also_after_a_removal_that_was_ended(
    tmp_path: Path,
) -> None:
    env, half = tmp_path / "envs" / "local", tmp_path / "envs" / ".local.removed"
    half.mkdir(parents=True)
    (half / "left").write_text("x")
    env.mkdir()
    (env / "pyvenv.cfg").write_text("home = /usr/bin\n")
    done = mambaops("create-venv", "--undo", "--yes", home=tmp_path)
    assert (done.returncode, list((tmp_path / "envs").iterdir())) == (0, []), done.stderr
    assert f"removed {env}" in done.stderr
    again = mambaops("create-venv", "--undo", "--yes", home=tmp_path)
    assert (again.returncode, again.stderr) == (0, f"there is no environment at {env}\n")
