"""How far a run is, whom it tells, and how a batch gets to its device."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Callable, Dict

import torch


@dataclass
class Progress:
    """How far a run is, saved with it. `batches` counts micro-batches done in the current epoch; the
    sums are those of the epoch and of the lines since the last log entry, so that a resumed run
    prints the same numbers."""

    step: int = 0
    epoch: int = 0
    batches: int = 0
    skipped: int = 0
    best: float = math.inf
    epoch_loss: float = 0.0
    epoch_weight: float = 0.0
    window_loss: float = 0.0
    window_weight: float = 0.0

    def add(self, loss: float, weight: float) -> None:
        self.epoch_loss, self.epoch_weight = (
            self.epoch_loss + loss * weight,
            self.epoch_weight + weight,
        )
        self.window_loss, self.window_weight = (
            self.window_loss + loss * weight,
            self.window_weight + weight,
        )

    def end_epoch(self) -> float:
        """Begin the next epoch; the mean loss of the one that ended."""
        mean = self.epoch_loss / self.epoch_weight if self.epoch_weight else math.nan
        self.epoch, self.batches, self.epoch_loss, self.epoch_weight = self.epoch + 1, 0, 0.0, 0.0
        return mean


def to_device(batch: Any, device: torch.device) -> Any:
    """Tensors of a dict, list or tuple (or anything with `.to`) moved to `device`."""
    if isinstance(batch, dict):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return type(batch)(to_device(value, device) for value in batch)
    return batch.to(device, non_blocking=True) if hasattr(batch, "to") else batch


@dataclass(frozen=True)
class Calls:
    """What `Trainer.fit` calls, with everything that was left out filled in."""

    on_log: Callable[[Dict[str, float]], None]
    on_save: Callable[[int], None]
    on_step: Callable[[int], None]


def nothing(_value: Any) -> None:
    """The callback that was not given."""
