"""A proven environment, pinned for pip and for uv: both make the same one anew from its indexes, and from nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import tomli
from exported import PYTHON, export, ran, versions

from mambaops.bundle.export import Exported, Pin, to_uv
from mambaops.install.installers import uv_command


@pytest.mark.parametrize("from_store", [False, True], ids=["index", "store"])
def test_pip_makes_the_same_anew(
    from_store: bool, proven: Path, alone: str, tmp_path: Path
) -> None:
    index = [] if from_store else ["--index", f"{alone}/kernels/cu128-torch2.8-sm120/simple/"]
    file = tmp_path / "requirements.txt"
    export("--pip", "--python", proven, *index, "--output", file)
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-cache-dir", "-r", file]
    ran(*pip, "--target", tmp_path / "new")
    assert versions(tmp_path / "new") == {"torch-2.8.0", "einops-0.8.1", "mamba_ssm-2.3.2"}


@pytest.mark.parametrize("from_store", [False, True], ids=["index", "store"])
def test_uv_sync_makes_the_same_anew(
    from_store: bool, proven: Path, alone: str, tmp_path: Path
) -> None:
    index = [] if from_store else ["--index", f"{alone}/kernels/cu128-torch2.8-sm120/simple/"]
    project = tmp_path / "project"
    project.mkdir()
    export("--uv", "--python", proven, *index, "--output", project / "pyproject.toml")
    ran(*(uv_command() or ["uv"]), "sync", "--python", sys.executable, cwd=project)
    made = project / ".venv" / "lib" / f"python{PYTHON}" / "site-packages"
    assert versions(made) == {"torch-2.8.0", "einops-0.8.1", "mamba_ssm-2.3.2"}


def test_what_is_not_there_or_not_said_is_refused(tmp_path: Path, alone: str) -> None:
    argv = [sys.executable, "-m", "mambaops", "export"]
    mine = tmp_path / "mine.txt"
    mine.write_text("mine", encoding="utf-8")
    for words, code, said in (
        ([], 2, "for whom?"),
        (["--pip", "--uv"], 2, "--pip"),
        (["--pip"], 1, "profile local has no environment yet"),
        (["--uv", "--output", str(mine)], 2, "is there already"),
    ):
        done = subprocess.run([*argv, *words], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (code, "")
        assert said in done.stderr
    assert mine.read_text(encoding="utf-8") == "mine"


def test_a_package_whose_wheel_is_nowhere_is_said(proven: Path, alone: str, tmp_path: Path) -> None:
    for wheel in (tmp_path / "cache" / "wheels").iterdir():
        wheel.unlink()
    argv = [sys.executable, "-m", "mambaops", "export", "--pip", "--python", str(proven)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no wheel of mamba-ssm 2.3.2+cu128torch2.8.sm120." in done.stderr


def test_odd_names_stay_toml() -> None:
    pins = (Pin(name='a"b\\', version="1\n", place=""), Pin(name="c", version="1", place="torch"))
    text = to_uv(
        Exported(
            name="x", python="3.11", platform="linux", machine="x86_64", proof="none",
            pins=pins, places={"kernels": "C:\\wheels"}, torch_index="https://x/",
        )
    )  # fmt: skip
    assert tomli.loads(text)["project"]["dependencies"] == ['a"b\\==1\n', "c==1"]
