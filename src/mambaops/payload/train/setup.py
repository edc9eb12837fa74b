"""Before the first step: options, seeds, device, process group, data order, optimizer groups.

Random numbers drawn in a step depend on (seed, rank, step) alone and the order of the data on
(seed, epoch) alone. So a resumed run needs no saved generator: its next losses are the same.
"""

from __future__ import annotations

import math
import os
import random
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import torch
import torch.distributed as dist
from torch import nn

# Mamba's own parameters that weight decay would pull towards slow decay; norms, biases and other
# vectors are recognised by their shape.
NO_DECAY = ("A_log", "dt_bias", ".D", "pos_embed")


@dataclass(frozen=True)
class Options:
    """How to train. `warmup` is a share of all steps; `amp` is auto, bf16 or off."""

    epochs: int = 1
    lr: float = 1e-3
    batch_size: int = 1
    accumulation: int = 1
    weight_decay: float = 0.01
    warmup: float = 0.03
    min_lr: float = 0.1  # share of `lr` that the cosine ends at
    clip: float = 1.0
    amp: str = "auto"
    seed: int = 0
    num_workers: int = 0
    log_every_steps: int = 20
    save_every_steps: int = 0  # 0: at every epoch's end only
    max_steps: int = 0  # 0: no limit
    max_bad_steps: int = 20  # non-finite steps in a row before we give up
    betas: Tuple[float, float] = (0.9, 0.95)


@dataclass(frozen=True)
class Runtime:
    """Where this process computes: its rank among `world` processes, its device."""

    device: torch.device
    rank: int = 0
    world: int = 1
    seed: int = 0

    @property
    def is_main(self) -> bool:
        return self.rank == 0


def start(*, seed: int = 0, device: str = "auto", deterministic: bool = False) -> Runtime:
    """Seed everything, choose the device, join the process group that torchrun announces."""
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    random.seed(seed)
    torch.manual_seed(seed)
    torch.set_float32_matmul_precision("high")
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    return Runtime(device=torch.device(device), rank=rank, world=world, seed=seed)


def learning_rate(options: Options, step: int, total: int) -> float:
    """Linear warm-up, then a cosine down to `min_lr * lr`; a pure function of the step."""
    warm = max(1, int(options.warmup * total))
    if step < warm:
        return options.lr * (step + 1) / warm
    share = min(1.0, (step - warm) / max(1, total - warm))
    return options.lr * (
        options.min_lr + (1 - options.min_lr) * 0.5 * (1 + math.cos(math.pi * share))
    )


def parameter_groups(model: nn.Module, weight_decay: float) -> List[Dict[str, Any]]:
    """Trainable parameters with and without decay (none for A_log, D, dt_bias, norms, biases)."""
    decay: List[nn.Parameter] = []
    plain: List[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        exempt = parameter.ndim < 2 or name.endswith(NO_DECAY) or "norm" in name.lower()
        (plain if exempt or getattr(parameter, "_no_weight_decay", False) else decay).append(
            parameter
        )
    return [{"params": decay, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]


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

    def _part(self, order: List[int], number: int) -> List[int]:
        size = self.batch * self.world
        return order[number * size : (number + 1) * size][self.rank :: self.world]

    def is_ghost(self, number: int) -> bool:
        return not self._part(list(range(self.length)), number)

    def __iter__(self) -> Iterator[List[int]]:
        generator = torch.Generator().manual_seed(self.seed * 100003 + self.epoch)
        order = torch.randperm(self.length, generator=generator).tolist()
        for number in range(self.skip, len(self)):
            yield self._part(order, number) or [order[0]]


class Loader:
    """A dataset in the engine's order; `epoch(e, skip)` iterates from the batch after `skip`."""

    def __init__(
        self,
        dataset: Any,
        collate: Optional[Callable[[List[Any]], Any]],
        options: Options,
        runtime: Runtime,
    ) -> None:
        self.sampler = Sampler(len(dataset), options, runtime)
        self._loader = torch.utils.data.DataLoader(
            dataset,
            batch_sampler=self.sampler,  # type: ignore[arg-type]
            collate_fn=collate,
            num_workers=options.num_workers,
            pin_memory=runtime.device.type == "cuda",
            persistent_workers=options.num_workers > 0,
            generator=torch.Generator().manual_seed(options.seed),
        )

    def __len__(self) -> int:
        return len(self.sampler)

    def epoch(self, number: int, skip: int = 0) -> Iterator[Any]:
        self.sampler.epoch, self.sampler.skip = number, skip
        return iter(self._loader)


def finish(runtime: Runtime) -> None:
    """Leave the process group, if there is one."""
    if runtime.world > 1 and dist.is_initialized():
        dist.destroy_process_group()
