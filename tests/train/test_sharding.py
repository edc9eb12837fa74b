"""FSDP2: two processes with half of the model each train as one does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mambaops.payload.train import trainlog

Flags = Callable[..., list[str]]
SOURCE = Path(__file__).parents[2] / "src"
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def losses(out: Path) -> list[float]:
    return [row[2] for row in trainlog.read_log(str(out / "stage2_train_log.csv"))]


def together(words: list[str], folder: Path) -> str:
    """The program in two processes."""
    done = subprocess.run(
        [sys.executable, *TORCHRUN, "-m", "mambaops.payload.train.vlm", *words, "--shard"],
        cwd=folder, capture_output=True, text=True, timeout=280, check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["full", "lora"])
def test_a_split_model_has_the_curve_of_a_whole_one(
    flags: Flags, train: Callable[[list[str]], None], tmp_path: Path, mode: str
) -> None:
    common = {"train_llm": mode, "epochs": 3, "val_csv": "", "save_every_steps": 2}
    whole, split = tmp_path / "whole", tmp_path / "split"
    train(flags(output_dir=whole, batch_size=8, max_steps=4, **common))
    said = together(flags(output_dir=split, batch_size=4, max_steps=4, **common), tmp_path)
    assert "x 2 process(es)" in said
    assert losses(split) == pytest.approx(losses(whole), rel=1e-4)
    # continued by two, and by one: what is saved is whole
    other = tmp_path / "other"
    other.mkdir()
    for name in ("stage2_last.pt", "stage2_train_log.csv"):
        (other / name).write_bytes((split / name).read_bytes())
    train(flags(output_dir=whole, batch_size=8, resume="auto", **common))
    together(flags(output_dir=split, batch_size=4, resume="auto", **common), tmp_path)
    train(flags(output_dir=other, batch_size=8, resume="auto", **common))
    for folder in (split, other):
        assert losses(folder) == pytest.approx(losses(whole), rel=1e-3)
    files = [torch.load(f / "vision_bridge_vlm_final.pt") for f in (whole, split)]
    for name, value in files[0]["model_state_dict"].items():
        torch.testing.assert_close(files[1]["model_state_dict"][name], value, rtol=1e-3, atol=1e-4)


def test_one_process_splits_nothing_and_says_so(
    flags: Flags, train: Callable[[list[str]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    train(flags(epochs=1, max_steps=1, shard=True))
    assert "there is one process" in capsys.readouterr().out
