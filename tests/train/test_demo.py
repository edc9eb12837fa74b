"""The demonstration as a whole: minutes on two cores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mambaops.payload.train.errors import TrainError


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demonstration_describes_unseen_combinations(
    train: Callable[[list[str]], None], tmp_path: Path
) -> None:
    train(["--demo", "--output_dir", str(tmp_path / "demo"), "--no_tensorboard"])
    shown = json.loads((tmp_path / "demo" / "demo.json").read_text("utf-8"))
    assert 6.0 <= shown["first_loss"] <= 8.0
    assert shown["last_loss"] < 2.0
    assert shown["scores"]["test"]["exact_match"] >= 0.9
    assert shown["scores"]["shuffled"]["exact_match"] <= 0.05


def test_a_demonstration_that_shows_nothing_fails(
    train: Callable[[list[str]], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--demo", "--output_dir", str(tmp_path / "demo"), "--count", "48", "--epochs", "1"]
    with pytest.raises(TrainError, match="did not show what it should"):
        train([*words, "--no_tensorboard"])
    text = capsys.readouterr().out
    assert "ok      caption_loss starts between 6 and 8" in text
    assert "FAILED  unseen combinations described exactly right" in text
