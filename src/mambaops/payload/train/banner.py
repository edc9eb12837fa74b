"""What a run says before it starts: machine, scan and why, model, data, precision."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any, List

import torch

from mambaops.payload.train.errors import InputError


def install_scan(wanted: str, model_type: str) -> str:
    """Give transformers our device-aware scan; the lines that say which is active and why.

    Args:
        wanted: auto, kernels, reference; "" follows MAMBA_FORCE_CUDA.
        model_type: the language model's; a family that the scan does not serve is said.

    Raises:
        InputError: transformers is too old for it, or not there.
    """
    from mambaops.payload import scan
    from mambaops.payload.scan.names import FAMILIES, family_of

    family = family_of(model_type)
    if not family:
        return f"transformers' own: {model_type} is none of {', '.join(FAMILIES)}"
    try:
        report = scan.install(wanted or None, families=[family], say=lambda _line: None)
    except scan.ScanPolicyError as error:
        raise InputError(
            str(error), hint=f"`{sys.executable} -m pip install 'transformers>=5.15'`"
        ) from error
    return "\n      ".join(report.lines())


def text(run: Any) -> str:
    """The banner of a `session.Run`."""
    settings, runtime = run.settings, run.runtime
    parameters = list(run.model.named_parameters())
    learning = sum(p.numel() for _n, p in parameters if p.requires_grad)
    frozen = sum(p.numel() for _n, p in parameters if not p.requires_grad)
    lines = [
        f"torch {torch.__version__} on {device_line(runtime.device)}, Python {platform.python_version()}",
        f"scan: {run.scan}",
        f"stage {settings.stage}: {settings.mamba_model} ({_origin(run.language)}, --train_llm "
        f"{run.language.mode}), vision {settings.vision}",
        f"visual tokens {run.model.bridge.tokens} ({'x'.join(map(str, run.model.bridge.grid))}), "
        f"parameters: {learning / 1e6:.2f} M learn, {frozen / 1e6:.2f} M frozen",
        f"precision: {_precision(run)}; activation checkpointing {'on' if run.checkpointing else 'off'}",
        f"data: {len(run.data)} rows of {settings.csv}"
        + (f", {len(run.validation)} of {settings.val_csv}" if run.validation is not None else ""),
        f"{settings.epochs} epochs, batch {settings.batch_size} x {settings.gradient_accumulation_steps}"
        f" x {runtime.world} process(es), lr {run.rates[0]:g}, of the bridge {run.rates[1]:g}",
    ]
    return "\n".join(lines + _environment())


def _origin(language: Any) -> str:
    return "random start" if language.is_random else "pretrained"


def _precision(run: Any) -> str:
    kinds = sorted({str(p.dtype)[6:] for p in run.model.parameters() if not p.requires_grad})
    with run.trainer.autocast():
        probe = torch.ones(1, 1, device=run.runtime.device)
        active = (probe @ probe).dtype == torch.bfloat16  # asks the same of every PyTorch version
    held = f", frozen ones in {', '.join(kinds)}" if kinds else ""
    return (
        ("bfloat16 autocast" if active else "float32") + ", learning parameters in float32" + held
    )


def device_line(device: torch.device) -> str:
    """e.g. `NVIDIA H100 80GB HBM3 (sm_90, 79.2 GiB, CUDA 13.0)` or `CPU (2 threads)`."""
    if device.type != "cuda":
        return f"CPU ({torch.get_num_threads()} threads)"
    about = torch.cuda.get_device_properties(device)
    return (
        f"{about.name} (sm_{about.major}{about.minor}, {about.total_memory / 2**30:.1f} GiB, "
        f"CUDA {torch.version.cuda})"
    )


def _environment() -> List[str]:
    names = (
        "KMP_DUPLICATE_LIB_OK",
        "MAMBA_FORCE_CUDA",
        "HF_HUB_OFFLINE",
        "HF_ENDPOINT",
        "MAMBA_MODEL",
    )
    shown = [f"{name}={os.environ[name]}" for name in names if os.environ.get(name)]
    return ["environment: " + " ".join(shown)] if shown else []
