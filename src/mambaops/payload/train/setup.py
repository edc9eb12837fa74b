"""Before the first step: options, seeds, device, process group, data order, optimizer groups.

Random numbers drawn in a step depend on (seed, rank, step) alone and the order of the data on
(seed, epoch) alone. So a resumed run needs no saved generator: its next losses are the same.
"""

from __future__ import annotations

import math
import os
import random
from dataclasses import dataclass
from typing import Any, Dict, List, Tuple

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
    shard: bool = False  # several processes: split the model (FSDP2), do not repeat it (DDP)
    # (beginning of parameters' names, their learning rate at its highest); all others have `lr`
    rates: Tuple[Tuple[str, float], ...] = ()


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


def parameter_groups(model: nn.Module, options: Options) -> List[Dict[str, Any]]:
    """Trainable parameters by rate, with and without decay (none for A_log, D, dt_bias, norms, biases).

    A group's `share` is its rate relative to `options.lr`, its `prefix` that of `options.rates`.
    """
    groups = []
    for prefix, rate in (("", options.lr), *options.rates):
        same = {"prefix": prefix, "share": rate / options.lr if options.lr else 1.0, "lr": rate}
        groups.append({"params": [], "weight_decay": options.weight_decay, **same})
        groups.append({"params": [], "weight_decay": 0.0, **same})
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            known = (
                k for k, (prefix, _r) in enumerate(options.rates, 1) if name.startswith(prefix)
            )
            exempt = parameter.ndim < 2 or name.endswith(NO_DECAY) or "norm" in name.lower()
            exempt = exempt or getattr(parameter, "_no_weight_decay", False)
            groups[2 * next(known, 0) + exempt]["params"].append(parameter)  # type: ignore[attr-defined]
    return groups


def finish(runtime: Runtime) -> None:
    """Leave the process group, if there is one."""
    if runtime.world > 1 and dist.is_initialized():
        dist.destroy_process_group()
