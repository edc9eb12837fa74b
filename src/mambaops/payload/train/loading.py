"""The order of the data, and its way from the files to the training loop."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Callable, Iterator, List, Optional

import torch

from mambaops.payload.train.errors import InputError, leave_signals_to_the_main_process
from mambaops.payload.train.setup import Options, Runtime


class Sampler:
    """Batches of one epoch: a permutation by (seed, epoch), cut into global batches, dealt to ranks.

    `world` processes with batch b see together exactly what one process with batch world * b sees. A
    rank that gets nothing of the last batch repeats a sample that then counts zero (`is_ghost`).
    """

    def __init__(self, length: int, options: Options, runtime: Runtime) -> None:
        self.length, self.seed, self.epoch, self.skip = length, options.seed, 0, 0
        self.batch, self.rank, self.world = options.batch_size, runtime.rank, runtime.world

    def __len__(self) -> int:
        return math.ceil(self.length / (self.batch * self.world))

    def _places(self, number: int) -> range:
        """Places in the epoch's order of this rank's share of a batch."""
        size = self.batch * self.world
        return range(number * size, min((number + 1) * size, self.length))[self.rank :: self.world]

    def is_ghost(self, number: int) -> bool:
        return not self._places(number)

    def __iter__(self) -> Iterator[List[int]]:
        generator = torch.Generator().manual_seed(self.seed * 100003 + self.epoch)
        order = torch.randperm(
            self.length, generator=generator
        )  # a list would take five times as much
        for number in range(self.skip, len(self)):
            places = self._places(number) or range(1)
            yield order[places.start : places.stop : places.step].tolist()


@dataclass(frozen=True)
class _Failure:
    """An item that could not be made: PyTorch would hand over a traceback's text in its place."""

    message: str
    hint: str


class _Noted(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """A dataset whose input errors are items."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        try:
            return self.dataset[index]
        except InputError as error:
            return _Failure(error.message, error.hint)


class _Collate:
    """A class, because workers that are started anew must be able to pickle it."""

    def __init__(self, collate: Callable[[List[Any]], Any]) -> None:
        self.collate = collate

    def __call__(self, items: List[Any]) -> Any:
        failures = (item for item in items if isinstance(item, _Failure))
        return next(failures, None) or self.collate(items)


class Loader:
    """A dataset in the engine's order; `epoch(e, skip)` iterates from the batch after `skip`.

    An item that cannot be made (a damaged picture) is raised in the main process as the error that it was.
    """

    def __init__(
        self,
        dataset: Any,
        collate: Optional[Callable[[List[Any]], Any]],
        options: Options,
        runtime: Runtime,
    ) -> None:
        self.sampler = Sampler(len(dataset), options, runtime)
        self._loader = torch.utils.data.DataLoader(
            _Noted(dataset),
            batch_sampler=self.sampler,  # type: ignore[arg-type]
            collate_fn=_Collate(collate or torch.utils.data.default_collate),
            num_workers=options.num_workers,
            pin_memory=runtime.device.type == "cuda",
            persistent_workers=options.num_workers > 0,
            worker_init_fn=leave_signals_to_the_main_process,
            generator=torch.Generator().manual_seed(options.seed),
        )

    def __len__(self) -> int:
        return len(self.sampler)

    def epoch(self, number: int, skip: int = 0) -> Iterator[Any]:
        self.sampler.epoch, self.sampler.skip = number, skip
        for batch in self._loader:
            if isinstance(batch, _Failure):
                raise InputError(batch.message, hint=batch.hint)
            yield batch
