"""A data set of 16 pictures and a tiny random Mamba, made once; runs of the real program on them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data/` (16 training pictures) and `tiny/` (a random Mamba of 60 000 parameters)."""
    from mambaops.payload.train import demo_data, tiny_model

    folder = tmp_path_factory.mktemp("demo")
    demo_data.write_set(str(folder / "data"), 16)
    sentences = [
        f"{demo_data.QUESTION}\n{scene.sentence}" for scene in demo_data.all_scenes()[:100]
    ]
    tiny_model.write_tiny_model(str(folder / "tiny"), sentences, hidden=32, layers=1, state=4)
    return folder


@pytest.fixture
def flags(demo: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Flags of a small run that writes to `tmp_path/out`; keywords add or change some."""

    def make(**changed: object) -> list[str]:
        values: dict[str, object] = {
            "csv": demo / "data" / "caption_train.csv",
            "mamba_model": demo / "tiny",
            "output_dir": tmp_path / "out",
            "image_size": 16,
            "image_channels": 3,
            "conv_widths": "8,16",
            "max_visual_tokens": 4,
            "batch_size": 8,
            "epochs": 2,
            "lr": 1e-2,
            "num_workers": 0,
            "log_every_steps": 1,
            "paths_yaml": "",
        }
        values.update(changed)
        words = ["--no_tensorboard"]
        for name, value in values.items():
            if value is True:
                words.append(f"--{name}")
            elif value != "" and value is not False:
                words += [f"--{name}", str(value)]
        return words

    return make


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[list[str]], None]:
    """Run the program in this process, in a folder without a config/paths.yaml."""
    from mambaops.payload.train import vlm

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAMBA_MODEL", raising=False)
    monkeypatch.delenv("MAMBA_FORCE_CUDA", raising=False)
    return vlm.main


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start the program as a process of its own."""

    def begin(words: list[str], *before: str, **env: str) -> subprocess.Popen[str]:
        argv = [sys.executable, *before, "-m", "mambaops.payload.train.vlm", *words]
        whole = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", **env}
        return subprocess.Popen(
            argv,
            cwd=tmp_path,
            env=whole,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    return begin
