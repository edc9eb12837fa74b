"""Trains a small model under torchrun or alone; prints its losses and the sum of its weights."""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

from mambaops.payload.train import engine


class Noise(torch.utils.data.Dataset[Tensor]):
    def __len__(self) -> int:
        return 21  # not a multiple of the batch: one rank gets nothing of the last batch

    def __getitem__(self, index: int) -> Tensor:
        return torch.randn(index % 4 + 1, 3, generator=torch.Generator().manual_seed(index))


def main(batch: int, folder: str) -> None:
    runtime = engine.start(seed=0, device="cpu")
    options = engine.Options(epochs=2, lr=0.01, batch_size=batch, accumulation=2, log_every_steps=1)
    torch.manual_seed(0)
    trainer = engine.Trainer(
        nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)),
        options,
        runtime,
        loss=lambda model, rows: ((model(rows)[:, 0] - rows.sum(1)) ** 2).sum(),
        weight=len,
        state_file=f"{folder}/{runtime.world}.pt",
    )
    losses: list[float] = []
    loader = engine.Loader(Noise(), torch.cat, options, runtime)
    trainer.fit(loader, on_log=lambda record: losses.append(record["loss"]))
    if runtime.is_main:
        total = sum(float(p.detach().abs().sum()) for p in trainer.unwrapped.parameters())
        print(*losses, total)
    engine.finish(runtime)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
