"""The engine by itself: data order, schedule, skipped steps, two processes as one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from mambaops.payload.train import engine
from mambaops.payload.train.errors import InputError, OutOfMemory, TrainError

PROGRAM = Path(__file__).with_name("ranks_program.py")


def sampler(length: int, batch: int, rank: int = 0, world: int = 1) -> engine.Sampler:
    runtime = engine.Runtime(device=torch.device("cpu"), rank=rank, world=world)
    return engine.Sampler(length, engine.Options(batch_size=batch, seed=3), runtime)


def test_ranks_share_what_one_process_sees() -> None:
    whole = list(sampler(22, 4))
    parts = [list(sampler(22, 2, rank, 2)) for rank in (0, 1)]
    for number, batch in enumerate(whole):
        assert sorted(parts[0][number] + parts[1][number]) == sorted(batch)
    assert sampler(21, 2, 1, 2).is_ghost(5)  # one sample is left for two ranks
    assert not sampler(21, 2, 0, 2).is_ghost(5)


def test_every_epoch_has_its_own_order_and_can_be_entered_midway() -> None:
    one = sampler(20, 3)
    first = list(one)
    one.epoch = 1
    second = list(one)
    assert first != second
    one.skip = 4
    assert list(one) == second[4:]
    assert sorted(index for batch in first for index in batch) == list(range(20))


def test_the_learning_rate_warms_up_and_falls() -> None:
    options = engine.Options(lr=1.0, warmup=0.1, min_lr=0.1)
    rates = [engine.learning_rate(options, step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates[-1] == pytest.approx(0.1, abs=0.01)
    assert rates[10:] == sorted(rates[10:], reverse=True)


class Line(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor]]):
    def __init__(self, poison: int = -1) -> None:
        self.poison = poison

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.tensor([float(index % 5), 1.0])
        return (x * float("nan") if index == self.poison else x), x.sum()


def trainer(
    tmp_path: Path, poison: int = -1, **options: int
) -> tuple[engine.Trainer, engine.Loader]:
    torch.manual_seed(0)
    chosen = engine.Options(epochs=2, lr=0.05, batch_size=2, **options)  # type: ignore[arg-type]
    runtime = engine.start(seed=0, device="cpu")
    made = engine.Trainer(
        nn.Linear(2, 1),
        chosen,
        runtime,
        loss=lambda model, batch: ((model(batch[0])[:, 0] - batch[1]) ** 2).sum(),
        weight=lambda batch: len(batch[0]),
        state_file=str(tmp_path / "last.pt"),
    )
    return made, engine.Loader(Line(poison), None, chosen, runtime)


def test_a_step_that_is_not_finite_is_skipped_and_counted(tmp_path: Path) -> None:
    made, loader = trainer(tmp_path, poison=7)
    made.fit(loader)
    assert made.progress.skipped == 2
    assert all(bool(torch.isfinite(p).all()) for p in made.unwrapped.parameters())


def test_too_many_of_them_end_the_run_with_the_state_saved(tmp_path: Path) -> None:
    made, loader = trainer(tmp_path, max_bad_steps=1, poison=7)
    with pytest.raises(TrainError, match="gave no finite gradient"):
        made.fit(loader)
    assert engine.load_checkpoint(str(tmp_path / "last.pt"))["progress"]["skipped"] == 1


def test_accumulation_weighs_labels_not_batches(tmp_path: Path) -> None:
    made, _ = trainer(tmp_path)
    data = Line()
    few = [torch.stack(column) for column in zip(*[data[0]], strict=True)]
    many = [torch.stack(column) for column in zip(*[data[k] for k in range(1, 6)], strict=True)]
    whole = [torch.stack(column) for column in zip(*[data[k] for k in range(6)], strict=True)]
    made.backward([few, many], [False, False])
    split = [p.grad.clone() for p in made.unwrapped.parameters() if p.grad is not None]
    made.optimizer.zero_grad()
    made.backward([whole], [False])
    for there, parameter in zip(split, made.unwrapped.parameters(), strict=True):
        torch.testing.assert_close(there, parameter.grad)


def exhaust(*_anything: object) -> torch.Tensor:
    return torch.empty(2**50, dtype=torch.float64)


def test_out_of_memory_saves_and_has_its_own_exit_code(tmp_path: Path) -> None:
    made, loader = trainer(tmp_path)
    right, calls = made._loss, []

    def second_time(model: nn.Module, batch: object) -> torch.Tensor:
        calls.append(batch)
        return right(model, batch) if len(calls) == 1 else exhaust()

    made._loss = second_time
    with pytest.raises(OutOfMemory, match="out of memory at step 2") as error:
        made.fit(loader)
    assert error.value.exit_code == 5
    assert torch.load(tmp_path / "last.pt", weights_only=True)["step"] == 1


def test_out_of_memory_in_validation_loses_nothing_and_says_where(tmp_path: Path) -> None:
    made, loader = trainer(tmp_path)
    with pytest.raises(OutOfMemory, match="out of memory validating after epoch 1"):
        made.fit(loader, on_epoch=exhaust)
    again, loader = trainer(tmp_path)
    assert again.resume()
    assert again.progress.step == 6
    seen: list[tuple[int, float]] = []
    again.fit(loader, on_epoch=lambda epoch, mean: seen.append((epoch, mean)))
    whole: list[tuple[int, float]] = []
    made, loader = trainer(tmp_path / "whole")
    made.fit(loader, on_epoch=lambda epoch, mean: whole.append((epoch, mean)))
    assert seen[-1] == whole[-1]


def test_the_rehearsal_is_a_whole_step_that_changes_nothing(tmp_path: Path) -> None:
    made, loader = trainer(tmp_path)
    steps: list[int] = []
    made.optimizer.register_step_post_hook(lambda *_: steps.append(len(made.optimizer.state)))
    before = [p.detach().clone() for p in made.unwrapped.parameters()]
    made.rehearse(next(iter(loader.epoch(0))))
    assert steps == [2], "the optimizer made its states"
    assert not made.optimizer.state
    for there, parameter in zip(before, made.unwrapped.parameters(), strict=True):
        assert torch.equal(there, parameter)
    assert {group["lr"] for group in made.optimizer.param_groups} == {0.05}
    with pytest.raises(OutOfMemory, match="rehearsal of a validation batch"):
        made.rehearse(next(iter(loader.epoch(0))), exhaust)


class Torn(Line):
    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        if index == 5:
            raise InputError("image torn.png cannot be read", hint="replace it")
        return super().__getitem__(index)


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_worker_cannot_read_is_the_same_error(workers: int) -> None:
    """PyTorch would put the worker's traceback into the message and drop the hint."""
    options = engine.Options(batch_size=2, num_workers=workers)
    loader = engine.Loader(Torn(), None, options, engine.Runtime(device=torch.device("cpu")))
    with pytest.raises(InputError) as error:
        list(loader.epoch(0))
    assert (error.value.message, error.value.hint) == (
        "image torn.png cannot be read",
        "replace it",
    )


@pytest.mark.slow
def test_two_ranks_are_one_process_with_twice_the_batch(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}

    def run(batch: int, *before: str) -> str:
        argv = [sys.executable, *before, str(PROGRAM), str(batch), str(tmp_path)]
        return subprocess.run(
            argv, env=environment, capture_output=True, text=True, timeout=200, check=True
        ).stdout

    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    alone, together = run(4), run(2, *torchrun)
    one = [float(word) for word in alone.split()]
    two = [float(word) for word in together.split()]
    assert len(one) == 6 + 1
    assert one == pytest.approx(two, rel=1e-5)
