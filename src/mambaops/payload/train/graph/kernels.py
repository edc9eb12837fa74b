"""Which functions the Mamba layers compute with, and why: decided once, said aloud."""

from __future__ import annotations

from typing import Any, Callable, Tuple

import torch

from mambaops.payload.train.errors import TrainError
from mambaops.payload.train.graph.mamba import Kernels, reference_kernels

SCAN, CONV, TRITON = "selective_scan_fn", "causal_conv1d_fn", "triton_scan"


def choose_kernels(device: torch.device, *, require: bool = False) -> Tuple[Kernels, str]:
    """Compiled kernels where a process of its own saw them work on this device, else ours.

    The scan and the convolution are chosen apart; mambaops' Triton scan comes between the two.
    `MAMBA_FORCE_CUDA=1` trusts what is installed without a probe.

    Returns:
        the two functions, and a line that says which they are and why.

    Raises:
        TrainError: `require` is set and one of the kernels does not work here, with its true error.
    """
    ours = reference_kernels()
    if device.type != "cuda":
        _refuse(require, f"{device} is not a GPU")
        return ours, f"mambaops' scan in PyTorch ({device} is not a GPU)"
    verdicts = _verdicts(device)
    for name in (SCAN, CONV):
        _refuse(require and not verdicts[name].works, f"{name}: {verdicts[name].reason}")
    scan, scan_why = _one(SCAN, ours.scan, verdicts)
    conv, conv_why = _one(CONV, ours.conv, verdicts)
    return Kernels(scan, conv), f"{scan_why}; {conv_why}"


def _refuse(refused: bool, why: str) -> None:
    if refused:
        raise TrainError(
            f"--require-kernels: {why}",
            hint="`mambaops verify` looks deeper; without the flag mambaops' own scan is used",
        )


def _verdicts(device: torch.device) -> Any:
    """{name: verdict} of the two kernels and of the Triton scan."""
    from mambaops.payload.scan.dispatch import resolve_policy
    from mambaops.payload.scan.verdict import Verdict, probe

    if resolve_policy(None) == "kernels":
        trusted = {name: Verdict(True, "trusted: MAMBA_FORCE_CUDA=1") for name in (SCAN, CONV)}
        return {**trusted, TRITON: Verdict(False, "not asked")}
    return probe([SCAN, CONV, TRITON], device.index or 0)


def _one(name: str, ours: Callable[..., Any], verdicts: Any) -> Tuple[Callable[..., Any], str]:
    from mambaops.payload.scan.kernel_loading import load

    if verdicts[name].works:
        return load(name), f"{name}: compiled kernel ({verdicts[name].reason})"
    if name == SCAN and verdicts[TRITON].works:
        return load(TRITON), f"{name}: mambaops' Triton scan ({verdicts[name].reason})"
    return ours, f"{name}: mambaops' PyTorch ({verdicts[name].reason})"
