"""A trained captioner back from its file, ready to write: used by `generate` and `evaluate`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Dict, List, Tuple

import torch

from mambaops.payload import paths
from mambaops.payload.train import banner, engine, lm
from mambaops.payload.train.captioner import Captioner, assemble
from mambaops.payload.train.data import CaptionDataset, collate, encode
from mambaops.payload.train.errors import InputError, TrainError
from mambaops.payload.train.images import read_image
from mambaops.payload.train.options import Settings
from mambaops.payload.train.table import Row, Table, read_table, without_missing


@dataclass
class Writer:
    """A captioner in evaluation mode with everything that it was trained with."""

    model: Captioner
    tokenizer: Any
    config: Dict[str, Any]
    device: torch.device

    def rows(self, table: str, limit: int, image_root: str = "") -> Table:
        """A table's rows with pictures (any missing one is an error here)."""
        found = read_table(paths.to_wsl(table), self.config["question"], image_root)
        return without_missing(found.pick(range(min(limit or len(found), len(found)))), 0.0)

    def image(self, row: Row) -> torch.Tensor:
        size, channels = self.config["image_size"], self.config["image_channels"]
        return read_image(row.image, size, channels, row.mask)

    def write(self, rows: List[Row], images: torch.Tensor, max_new_tokens: int = 0) -> List[str]:
        """Answers to rows that have one common question; images [len(rows), C, S, S]."""
        prompt = encode(self.tokenizer, rows[0], self.config["max_text_len"]).prompt
        room = max_new_tokens or self.config["max_text_len"] - len(prompt)
        ids = self.model.write(
            images.to(self.device), prompt, eos=self.tokenizer.eos_token_id, max_new_tokens=room
        )
        return [self.tokenizer.decode(each, skip_special_tokens=True) for each in ids]

    @torch.no_grad()
    def score(
        self, rows: Table, pictures: List[int], batch: int, max_new_tokens: int
    ) -> Tuple[float, List[str]]:
        """Loss per answer token and the written answers; row k sees the picture of `pictures[k]`."""
        size, channels = self.config["image_size"], self.config["image_channels"]
        data = CaptionDataset(rows, self.tokenizer, self.config["max_text_len"], size, channels)
        total, labels, written = 0.0, 0, [""] * len(rows)
        for group in _by_question(rows, batch):
            items = [dict(data[k], image=self.image(rows[pictures[k]])) for k in group]
            tensors = engine.to_device(collate(items), self.device)
            total += float(self.model(tensors["images"], tensors["ids"], tensors["labels"]))
            labels += int((tensors["labels"] != -100).sum())
            for k, text in zip(
                group, self.write([rows[k] for k in group], tensors["images"], max_new_tokens)
            ):
                written[k] = text
        return total / max(labels, 1), written


def _by_question(rows: Table, batch: int) -> List[List[int]]:
    """Indices in batches with one question each: prompts of one length need no padding."""
    groups: Dict[str, List[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(row.question, []).append(number)
    return [
        group[begin : begin + batch]
        for group in groups.values()
        for begin in range(0, len(group), batch)
    ]


def restore(checkpoint: str, *, mamba_model: str = "", device: str = "auto") -> Writer:
    """Rebuild the captioner that `checkpoint` was saved from.

    Args:
        mamba_model: where the language model is now, if it moved.

    Raises:
        TrainError: no checkpoint of stage 2, or it does not fit the language model given.
    """
    path = paths.to_wsl(checkpoint)
    saved = engine.load_checkpoint(path)
    config = saved.get("config")
    if not isinstance(config, dict):
        raise TrainError(
            f"{path} has no `config`: it was not written by this program",
            hint="train with it from --vision_checkpoint to get a file that can be restored",
        )
    settings = Settings(
        **{name: config[name] for name in Settings.__dataclass_fields__ if name in config}
    )
    runtime = engine.start(seed=0, device=device)
    name = _language_folder(mamba_model or config["mamba_model"], path)
    language = lm.load(
        name,
        config["train_llm"],
        runtime.device,
        lora=settings.lora,
        in_8_bit=settings.llm_8bit,
    )
    banner.install_scan(settings.scan, language.model.config.model_type)
    if language.width != config["lm_hidden_size"]:
        raise InputError(
            f"{path} was trained on a model of width {config['lm_hidden_size']} "
            f"({config['mamba_model']}); {name} has width {language.width}"
        )
    model = assemble(language, settings)[0]
    engine.load_weights(model, saved["model_state_dict"], path)
    return Writer(model.to(runtime.device).eval(), language.tokenizer, config, runtime.device)


def _language_folder(name: str, checkpoint: str) -> str:
    """A relative folder that is not here may lie beside the checkpoint (a copied output folder)."""
    beside = os.path.join(os.path.dirname(checkpoint), os.path.basename(name))
    if not os.path.isdir(name) and os.path.isdir(beside):
        print(f"language model: {name} is not here; taking {beside}")
        return beside
    return name
