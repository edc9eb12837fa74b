"""One training run of the captioner, from its settings: table, models, what is checked before they are loaded."""

from __future__ import annotations

from collections import Counter

import torch

from mambaops.payload.train import advice, banner, engine, folders, lm, weights
from mambaops.payload.train.captioner import assemble
from mambaops.payload.train.data import CaptionDataset
from mambaops.payload.train.errors import InputError, OutOfMemory, is_out_of_memory
from mambaops.payload.train.images import check_pictures
from mambaops.payload.train.options import Settings
from mambaops.payload.train.run import Run
from mambaops.payload.train.table import Table, read_table, spread_out, without_missing


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
    held_out = table(settings, settings.val_csv, "val_csv") if settings.val_csv else None
    for each in filter(None, (rows, held_out)):
        check_pictures(each, everything=settings.check_images)
    shards = settings.shard and runtime.world > 1
    if settings.shard and not shards:
        print("--shard: there is one process (torchrun starts more): nothing is split")
    language = lm.load(
        settings.mamba_model,
        settings.language_mode,
        runtime.device,
        lora=settings.lora,
        leave_on_cpu=shards,
        in_8_bit=settings.llm_8bit,
    )
    scan = banner.install_scan(settings.scan, language.model.config.model_type)
    torch.manual_seed(settings.seed)  # the front's random start must not depend on what was loaded
    model, size, channels = assemble(language, settings)
    if not shards:  # what is split goes to its device block by block
        model.to(runtime.device)

    def dataset(kept: Table) -> CaptionDataset:
        return CaptionDataset(kept, language.tokenizer, settings.max_text_len, size, channels)

    run = Run(settings, runtime, model, language, dataset(rows), scan)
    if held_out:
        run.validation = dataset(held_out)
    run.config = weights.model_config(settings, model, size, channels, language)
    run.config["data"] = rows.digest()
    run.config["global_batch"] = settings.batch_size * runtime.world
    # what `generate` asks when nobody says: the table's own question, not the default of the flags
    run.config["question"] = most_asked(rows)
    run.go()


def most_asked(rows: Table) -> str:
    """The commonest question of a thousand rows."""
    chosen = spread_out(len(rows), 1000)
    return Counter(rows[k].question for k in chosen).most_common(1)[0][0]


def table(settings: Settings, path: str, flag: str) -> Table:
    """The rows of a caption table whose pictures exist."""
    if not path:
        raise InputError(
            f"no caption table: neither --{flag} nor caption_csv_train in {settings.paths_yaml}",
            hint="`mambaops demo-data` writes one to try with",
        )
    found = read_table(path, settings.question, settings.image_root)
    return without_missing(found, settings.max_missing, everything=settings.check_images)
