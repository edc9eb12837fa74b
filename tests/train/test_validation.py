"""The control: rows that get another row's picture, and what is said of it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import torch

from mambaops.payload.train import trainlog, watch
from mambaops.payload.train.curve import draw_curve
from mambaops.payload.train.setup import Runtime
from mambaops.payload.train.validation import Validation, Validator, partners


class Table:
    """Rows whose picture is the number of their answer."""

    def __init__(self, answers: list[str]) -> None:
        self.answers = answers

    def __len__(self) -> int:
        return len(self.answers)

    def answer(self, row: int) -> str:
        return self.answers[row]

    def text(self, row: int) -> dict[str, Any]:
        return {"prompt": [1], "answer": [ord(self.answers[row]), 2]}

    def image(self, row: int) -> torch.Tensor:
        return torch.full((1, 2, 2), float(ord(self.answers[row])))


class Model(torch.nn.Module):
    """Loss 1 where the picture is the answer's; `blind` never looks."""

    def __init__(self, blind: bool) -> None:
        super().__init__()
        self.blind = blind

    def row_losses(self, images: Any, ids: Any, labels: Any) -> torch.Tensor:
        wrong = (images[:, 0, 0, 0] != ids[:, 1]).float()
        noise = torch.arange(len(ids)) * 0.01
        return 2 * (1.0 + noise + (0 if self.blind else wrong))


def measured(answers: list[str], *, blind: bool) -> Validation:
    runtime = Runtime(device=torch.device("cpu"))
    totals = lambda *values: list(values)  # noqa: E731
    validator = Validator(Model(blind), runtime, 4, contextlib.nullcontext, totals)
    table: Any = Table(answers)
    return validator.measure(table, table)


def test_every_partner_has_another_answer() -> None:
    table: Any = Table(list("aaab" * 5))
    found = partners(table, list(range(20)))
    assert sorted(found) == list(range(20))
    assert all(table.answer(row) != table.answer(other) for row, other in found.items())


def test_a_model_that_looks_has_a_gap_and_a_blind_one_has_none() -> None:
    seeing, blind = (measured(list("abcd" * 5), blind=blind) for blind in (False, True))
    assert seeing.gap == pytest.approx(1.0)
    assert seeing.loss == pytest.approx(seeing.own)
    assert seeing.rows == 20
    assert (seeing.sees_picture, blind.sees_picture) == (True, False)
    assert blind.gap == pytest.approx(0.0)


def test_ranks_have_as_many_batches_and_count_every_row_once() -> None:
    """Where parameters are split, a rank that had a batch less would leave the others waiting."""
    table: Any = Table(list("abcdefghi"))
    calls, found = [], []
    for rank in (0, 1):
        model = Model(False)
        runtime = Runtime(device=torch.device("cpu"), rank=rank, world=2)
        validator = Validator(model, runtime, 4, contextlib.nullcontext, lambda *v: list(v))
        counts: list[int] = []
        right = model.row_losses

        def counted(*rows: Any, right: Any = right, counts: list[int] = counts) -> torch.Tensor:
            counts.append(len(rows[0]))
            return right(*rows)

        model.row_losses = counted  # type: ignore[method-assign]
        found.append(validator.measure(None, table).rows)
        calls.append(counts)
    assert [len(counts) for counts in calls] == [4, 4]
    assert found == [5, 4]


def test_no_gap_no_success() -> None:
    seeing, blind, same = (
        measured(list("abcd" * 5), blind=False),
        measured(list("abcd" * 5), blind=True),
        measured(list("aaaa"), blind=True),
    )
    assert watch.epoch_verdict(3, [3.0, 1.9, 0.4], seeing).startswith("below 2.0 since epoch 2")
    verdict = watch.epoch_verdict(3, [3.0, 1.9, 0.4], blind)
    assert "THE PICTURE IS IGNORED" in verdict
    assert "--bridge_lr" in verdict
    assert "not measured: no two answers differ" in watch.epoch_verdict(1, [0.4], same)
    assert (same.sees_picture, watch.gap_line(same)) == (None, "")


def step(number: int, loss: float) -> dict[str, float]:
    values = {"epoch": 1.0, "lr": 1e-3, "bridge.lr": 1e-3, "memory_bytes": 2**30, "skipped": 0.0}
    return {"step": float(number), "loss": loss, **values}


def test_the_log_has_rows_of_steps_and_of_epochs(tmp_path: Path) -> None:
    log = trainlog.TrainLog(str(tmp_path), 2, 0)
    log.write(step(1, 7.0), 100.0)
    log.write_epoch(1, 1, 6.5, Validation(6.0, 5.5, 5.75, 0.01, 8))
    log.write(step(2, 5.0), 100.0)
    assert [row[:3] for row in trainlog.read_log(log.path)] == [[1.0, 1.0, 7.0], [2.0, 1.0, 5.0]]
    assert trainlog.read_epochs(log.path) == [
        {"step": 1.0, "epoch": 1.0, "caption_loss": 6.5, "val_loss": 6.0, "own_loss": 5.5,
         "shuffled_loss": 5.75}
    ]  # fmt: skip
    # resumed from step 1: what came later is written again
    log = trainlog.TrainLog(str(tmp_path), 2, 1)
    log.write(step(2, 5.5), 100.0)
    assert [row[2] for row in trainlog.read_log(log.path)] == [7.0, 5.5]
    assert "step 2 training" in Path(log.heartbeat).read_text()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_short_run_has_a_curve_with_its_validation(tmp_path: Path, count: int) -> None:
    log = trainlog.TrainLog(str(tmp_path), 2, 0)
    for number in range(1, count + 1):
        log.write(step(number, 7.0 - number), 100.0)
        log.write_epoch(number, number, 6.0, Validation(5.0, 4.5, 5.5, 0.1, 8))
    path = tmp_path / "curve.png"
    assert draw_curve(log.path, str(path), "caption_loss") == ""
    from matplotlib.image import imread

    picture = imread(path)[:, : picture_width(path) // 2, :3]
    blue = ((picture[..., 2] > 0.5) & (picture[..., 0] < 0.25)).sum()
    assert (blue > 20) == (count > 0), "the training line is there from the first step on"


def test_why_there_is_no_curve_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when memory has just run out: the run's own error comes after it."""
    import sys

    from matplotlib.figure import Figure

    def exhausted(*_words: Any, **_more: Any) -> None:
        raise MemoryError

    log = trainlog.TrainLog(str(tmp_path), 2, 0)
    monkeypatch.setattr(Figure, "savefig", exhausted)
    assert "out of memory" in draw_curve(log.path, str(tmp_path / "curve.png"), "")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    said = draw_curve(log.path, str(tmp_path / "curve.png"), "")
    assert "matplotlib cannot be loaded" in said
    assert "pip install" not in said


def picture_width(path: Path) -> int:
    from PIL import Image

    with Image.open(path) as image:
        return image.width
