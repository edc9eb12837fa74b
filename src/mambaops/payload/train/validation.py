"""What a model has learned: the loss on a validation table, and whether it looks at the picture.

The control gives rows the picture of a row with another answer. Where the loss does not rise by that, the
answers are known by heart and the picture is ignored, whatever `caption_loss` says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Callable, ContextManager, Dict, List, Optional, Tuple

import torch

from mambaops.payload.train.data import CaptionDataset, collate
from mambaops.payload.train.progress import to_device
from mambaops.payload.train.setup import Runtime
from mambaops.payload.train.table import spread_out

CONTROL_ROWS = 256
# A gap counts where it is above twice its standard error and this share of the loss.
LEAST_SHARE = 0.02


@dataclass(frozen=True)
class Validation:
    """Losses per answer token (nats).

    Attributes:
        loss: of the validation table; nan where there is none.
        own, shuffled: of the control's rows with their own and with other rows' pictures.
        error: standard error of the mean of the rows' differences.
        rows: rows of the control; 0 where no two answers differ.
    """

    loss: float = math.nan
    own: float = math.nan
    shuffled: float = math.nan
    error: float = math.nan
    rows: int = 0

    @property
    def gap(self) -> float:
        return self.shuffled - self.own

    @property
    def sees_picture(self) -> Optional[bool]:
        """None where that could not be measured."""
        if not self.rows:
            return None
        return self.gap > max(2 * self.error, LEAST_SHARE * self.shuffled)


def partners(data: CaptionDataset, chosen: List[int]) -> Dict[int, int]:
    """For each row the row whose picture it gets: one with another answer, as far away as possible."""
    found = {}
    half = len(chosen) // 2
    for place, row in enumerate(chosen):
        for step in range(len(chosen)):
            other = chosen[(place + half + step) % len(chosen)]
            if data.answer(other) != data.answer(row):
                found[row] = other
                break
    return found


class Validator:
    """Measures one model. `totals` sums over ranks; each rank does its share of the rows."""

    def __init__(
        self,
        model: Any,
        runtime: Runtime,
        batch: int,
        autocast: Callable[[], ContextManager[Any]],
        totals: Callable[..., List[float]],
    ) -> None:
        self.model, self.runtime, self.batch = model, runtime, batch
        self.autocast, self.totals = autocast, totals

    @torch.no_grad()
    def measure(self, table: Optional[CaptionDataset], control: CaptionDataset) -> Validation:
        """The loss of `table` (if there is one), and the control on up to 256 rows of `control`."""
        was_training = self.model.training
        self.model.eval()
        try:
            loss = math.nan if table is None else self._loss(table)
            pairs = partners(control, spread_out(len(control), CONTROL_ROWS))
            return self._compared(control, pairs, loss)
        finally:
            self.model.train(was_training)

    def _loss(self, table: CaptionDataset) -> float:
        sums = self._row_sums(table, {row: row for row in range(len(table))})
        total, labels = self.totals(sum(s for s, _n in sums), sum(n for _s, n in sums))
        return total / max(labels, 1.0)

    def _compared(self, control: CaptionDataset, pairs: Dict[int, int], loss: float) -> Validation:
        if not pairs:
            return Validation(loss=loss)
        own = self._row_sums(control, {row: row for row in pairs})
        other = self._row_sums(control, pairs)
        gaps = [(b - a) / n for (a, n), (b, _n) in zip(own, other)]
        rows, mean, square = self.totals(len(gaps), sum(gaps), sum(g * g for g in gaps))
        sums = self.totals(
            sum(a for a, _n in own), sum(b for b, _n in other), sum(n for _a, n in own)
        )
        variance = max(0.0, square / rows - (mean / rows) ** 2) * rows / max(rows - 1, 1)
        return Validation(
            loss, sums[0] / sums[2], sums[1] / sums[2], math.sqrt(variance / rows), int(rows)
        )

    def _row_sums(self, data: CaptionDataset, pictures: Dict[int, int]) -> List[Tuple[float, int]]:
        """(sum of the losses, answer tokens) of this rank's rows; row k sees the picture of pictures[k]."""
        rank, world = self.runtime.rank, self.runtime.world
        mine = sorted(pictures)[rank::world]
        own = len(mine)
        # where parameters are split, every rank takes part in every batch: who has a row less does one for the others
        mine += [min(pictures)] * (math.ceil(len(pictures) / world) - own)
        found: List[Tuple[float, int]] = []
        for begin in range(0, len(mine), self.batch):
            rows = mine[begin : begin + self.batch]
            items = [dict(data.text(row), image=data.image(pictures[row])) for row in rows]
            batch = to_device(collate(items), self.runtime.device)
            with self.autocast():
                sums = self.model.row_losses(batch["images"], batch["ids"], batch["labels"])
            found += zip(sums.tolist(), (len(item["answer"]) for item in items))
        return found[:own]

    @torch.no_grad()
    def rehearse(self, longest: Dict[str, Any]) -> None:
        """The longest row (an item of the data), as often as a batch has places."""
        was_training = self.model.training
        self.model.eval()
        batch = collate([longest] * self.batch)
        with self.autocast():
            batch = to_device(batch, self.runtime.device)
            self.model.row_losses(batch["images"], batch["ids"], batch["labels"])
        self.model.train(was_training)
