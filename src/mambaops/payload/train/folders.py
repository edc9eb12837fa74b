"""The output folder: ours to write to, holding one run, which is continued only as what it was."""

from __future__ import annotations

import glob
import os
import re
from typing import Any, Dict

from mambaops.payload.train import engine
from mambaops.payload.train.errors import InputError
from mambaops.payload.train.options import Settings

# What the course of a run follows from: other values make another run of it.
DEFINING = (
    "data",
    "global_batch",
    "gradient_accumulation_steps",
    "lr",
    "bridge_lr",
    "weight_decay",
    "warmup",
    "clip",
    "seed",
    "train_llm",
    "lora_rank",
    "lora_layers",
    "llm_8bit",
    "vision",
    "image_size",
    "image_channels",
    "max_visual_tokens",
    "max_text_len",
)


def prepare(settings: Settings) -> None:
    """Make the folder, see that it can be written to, and that no other run's files are there.

    Raises:
        InputError: it cannot be written to, or holds a run that nobody asked to continue or replace.
    """
    folder = settings.output_dir
    try:
        os.makedirs(folder, exist_ok=True)
        probe = os.path.join(folder, f".{os.getpid()}.writable")
        with open(probe, "wb"):
            pass
        os.remove(probe)
    except OSError as error:
        raise InputError(
            f"--output_dir {folder} cannot be written to: {error.strerror}",
            hint="give another --output_dir",
        ) from error
    names = (f"stage{settings.stage}_last.pt", f"stage{settings.stage}_train_log.csv")
    used = [name for name in names if os.path.exists(os.path.join(folder, name))]
    if used and not settings.resume and not settings.overwrite:
        raise InputError(
            f"--output_dir {folder} holds a run already ({', '.join(used)})",
            hint="--resume auto continues it, another --output_dir keeps it, --overwrite replaces it",
        )


def check_same_run(path: str, config: Dict[str, Any]) -> None:
    """Raises:
    InputError: the state at `path` is of a run with other settings; names each with both values.
    """
    saved = engine.load_checkpoint(path).get("config") or {}
    different = [
        f"{name}: {saved[name]} there, {config[name]} here"
        for name in DEFINING
        if name in saved and name in config and saved[name] != config[name]
    ]
    if different:
        raise InputError(
            f"{path} is of another run: " + "; ".join(different),
            hint="give the same values to continue it; for a new run with its weights: another "
            f"--output_dir and --vision_checkpoint {path}",
        )


def prune_steps(folder: str, keep: int) -> None:
    """Delete all but the last `keep` files of --save_every_steps (0: none is deleted)."""
    numbered = []
    for path in glob.glob(os.path.join(glob.escape(folder), "vision_bridge_vlm_step*.pt")):
        match = re.fullmatch(r"vision_bridge_vlm_step(\d+)\.pt", os.path.basename(path))
        if match:
            numbered.append((int(match.group(1)), path))
    for _step, path in sorted(numbered)[:-keep] if keep else []:
        os.remove(path)
