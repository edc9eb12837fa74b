"""One training run of the captioner, from its settings: table, models, what is checked before they are loaded."""

from __future__ import annotations

from collections import Counter
from typing import Any, List

import torch

from mambaops.payload.train import advice, banner, engine, folders, lm, weights
from mambaops.payload.train.captioner import build, build_vision
from mambaops.payload.train.data import CaptionDataset, read_rows, without_missing
from mambaops.payload.train.errors import InputError, OutOfMemory, is_out_of_memory
from mambaops.payload.train.images import check_pictures
from mambaops.payload.train.options import Settings
from mambaops.payload.train.run import Run


def train(settings: Settings) -> None:
    """Train to the end.

    Raises:
        TrainError: with the exit code of its kind; what was trained so far is saved.
    """
    try:
        _train(settings)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        hint = advice.memory_advice(settings, True, settings.train_llm, "")
        text = str(error).splitlines()[0]
    else:
        return
    raise OutOfMemory(f"out of memory while the model was loaded ({text})", hint=hint)


def _train(settings: Settings) -> None:
    runtime = engine.start(
        seed=settings.seed, device=settings.device, deterministic=settings.deterministic
    )
    # before the model: what is wrong with folder, table or pictures is found in a second
    if runtime.is_main:
        folders.prepare(settings)
    rows = table(settings, settings.csv, "csv")
    held_out = table(settings, settings.val_csv, "val_csv") if settings.val_csv else []
    check_pictures([*rows, *held_out], everything=settings.check_images)
    mode = "none" if settings.stage == 1 and settings.train_llm == "auto" else settings.train_llm
    language = lm.load(settings.mamba_model, mode, runtime.device, lora_rank=settings.lora_rank)
    scan = banner.install_scan(settings.scan, language.model.config.model_type)
    torch.manual_seed(settings.seed)  # the front's random start must not depend on what was loaded
    vision, size, channels = build_vision(
        settings.vision, settings.image_size, settings.image_channels, settings.widths
    )
    freeze_vision(vision, settings)
    model = build(language, vision, size, settings.max_visual_tokens, settings.bridge_dim)
    model.to(runtime.device)

    def dataset(kept: List[Any]) -> CaptionDataset:
        return CaptionDataset(kept, language.tokenizer, settings.max_text_len, size, channels)

    run = Run(settings, runtime, model, language, dataset(rows), scan)
    if held_out:
        run.validation = dataset(held_out)
    run.config = weights.model_config(settings, model, size, channels, language)
    run.config["data"] = folders.digest(rows)
    run.config["global_batch"] = settings.batch_size * runtime.world
    # what `generate` asks when nobody says: the table's own question, not the default of the flags
    run.config["question"] = Counter(row.question for row in rows).most_common(1)[0][0]
    run.go()


def table(settings: Settings, path: str, flag: str) -> List[Any]:
    """The rows of a caption table whose pictures exist."""
    if not path:
        raise InputError(
            f"no caption table: neither --{flag} nor caption_csv_train in {settings.paths_yaml}",
            hint="`mambaops demo-data` writes one to try with",
        )
    return without_missing(
        read_rows(path, settings.question, settings.image_root), path, settings.max_missing
    )


def freeze_vision(vision: Any, settings: Settings) -> None:
    """`auto`: a conv encoder learns, a pretrained one stays as it is."""
    learns = settings.train_vision == "full" or (
        settings.train_vision == "auto" and settings.vision == "conv"
    )
    for parameter in vision.parameters():
        parameter.requires_grad_(learns)
