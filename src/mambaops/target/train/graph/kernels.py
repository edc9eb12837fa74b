"""Which functions the Mamba layers compute with, and why: decided once, said aloud."""

from __future__ import annotations

from typing import Tuple

import torch

from mambaops.target.train.errors import TrainError
from mambaops.target.train.graph.mamba import Kernels, reference_kernels


def choose_kernels(device: torch.device, *, require: bool = False) -> Tuple[Kernels, str]:
    """mamba_ssm's kernels where they were launched on this device and answered, else ours.

    Raises:
        TrainError: `require` is set and the kernels do not work here.
    """
    reason = "not a CUDA device"
    if device.type == "cuda":
        reason = "no probe yet"
    if require:
        raise TrainError(
            f"--require-kernels: mamba_ssm's kernels do not work on {device}: {reason}"
        )
    return reference_kernels(), f"mambaops' scan in PyTorch ({reason})"
