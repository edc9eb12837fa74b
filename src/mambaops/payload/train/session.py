"""One training run of the captioner: set up, say what will happen, rehearse, train, say what happened."""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import Any, Dict, List, Optional

import torch

from mambaops.payload.train import advice, banner, engine, lm, watch, weights
from mambaops.payload.train.captioner import Captioner, build, build_vision
from mambaops.payload.train.data import (
    IGNORED,
    CaptionDataset,
    collate,
    length_report,
    read_rows,
    without_missing,
)
from mambaops.payload.train.errors import InputError, OutOfMemory, is_out_of_memory
from mambaops.payload.train.options import Settings

LARGE = 100_000_000  # parameters from which activations are recomputed unless told otherwise


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
    rows = table(
        settings, settings.csv, "csv"
    )  # before the model: a wrong table is found in a second
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
    if settings.val_csv:
        run.validation = dataset(table(settings, settings.val_csv, "val_csv"))
    run.config = weights.model_config(settings, model, size, channels, language.mode)
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


def label_count(batch: Dict[str, Any]) -> int:
    return int((batch["labels"] != IGNORED).sum())


def loss_sum(model: Any, batch: Dict[str, Any]) -> Any:
    return model(batch["images"], batch["ids"], batch["labels"])


class Run:
    """The state that the callbacks of a run share."""

    def __init__(
        self,
        settings: Settings,
        runtime: engine.Runtime,
        model: Captioner,
        language: lm.LanguageModel,
        data: CaptionDataset,
        scan: str,
    ) -> None:
        self.settings, self.runtime, self.model, self.language = settings, runtime, model, language
        self.data, self.scan = data, scan
        self.validation: Optional[CaptionDataset] = None
        self.config: Dict[str, Any] = {}
        self.epoch_losses: List[float] = []
        self.tokens, self.since, self.bar = 0, time.monotonic(), None
        self.checkpointing = self._checkpointing()
        self.trainer: Any = None

    def _checkpointing(self) -> bool:
        wanted = self.settings.gradient_checkpointing
        if wanted is None:
            wanted = sum(p.numel() for p in self.language.model.parameters()) > LARGE
        if wanted:
            lm.enable_checkpointing(self.language.model)
        return wanted

    def say(self, text: str) -> None:
        if self.runtime.is_main and text:
            watch.say(text, self.bar)

    # -- the run --------------------------------------------------------------------------------
    def go(self) -> None:
        """Everything from the start weights to the last line."""
        settings = self.settings
        resumed = self._prepare()
        self.say(banner.text(self))
        self.say(length_report(self.data, settings.length_audit_samples))
        if self.runtime.is_main:
            weights.write_json(settings.file(f"stage{settings.stage}_config.json"), self.config)
            self.log = watch.TrainLog(settings.output_dir, settings.stage, resumed)
            self.board = banner.tensorboard(settings)
        self.loader = engine.Loader(self.data, collate, self.options(), self.runtime)
        try:
            self._rehearse()
            if self.runtime.is_main:
                self.bar = watch.progress_bar(self.trainer.total_steps(self.loader), resumed)
            self.since, self.tokens = time.monotonic(), 0
            self.trainer.fit(
                self.loader,
                on_log=self.on_log,
                on_epoch=self.on_epoch,
                on_save=self.on_save,
                on_step=self.on_step,
            )
        except OutOfMemory as error:
            error.hint = advice.memory_advice(
                settings, self.checkpointing, self.language.mode, self.scan
            )
            raise
        finally:
            self._close()
        self._finish()

    def options(self) -> engine.Options:
        s = self.settings
        # Windows starts workers anew and fails on much; more workers than cores only cost memory
        workers = 0 if os.name == "nt" else min(s.num_workers, len(self.data), os.cpu_count() or 1)
        return engine.Options(
            epochs=s.epochs,
            lr=s.learning_rate,
            batch_size=s.batch_size,
            accumulation=s.gradient_accumulation_steps,
            weight_decay=s.weight_decay,
            warmup=s.warmup,
            clip=s.clip,
            amp=s.amp,
            seed=s.seed,
            num_workers=workers,
            log_every_steps=s.log_every_steps,
            save_every_steps=s.save_every_steps,
            max_steps=s.max_steps,
        )

    def _prepare(self) -> int:
        """Start weights or resume; the step that was resumed from (0 for a new run)."""
        settings = self.settings
        state_file = settings.file(f"stage{settings.stage}_last.pt")
        resuming = bool(settings.resume)
        if not resuming:
            images = torch.stack([self.data[k]["image"] for k in _spread_out(len(self.data), 8)])
            self.say(weights.start_weights(self.model, settings, images.to(self.runtime.device)))
        self.trainer = engine.Trainer(
            self.model,
            self.options(),
            self.runtime,
            loss=loss_sum,
            weight=self._count,
            state_file=state_file,
            config=self.config,
        )
        if not resuming:
            return 0
        return self._resume("" if settings.resume == "auto" else settings.resume)

    def _resume(self, path: str) -> int:
        if not self.trainer.resume(path):
            if path:
                raise InputError(f"--resume {path} is not there")
            self.say(f"nothing to resume ({self.trainer.state_file} is not there): a new run")
            return 0
        step = int(self.trainer.progress.step)
        self.say(f"resumed from {path or self.trainer.state_file} at step {step}")
        return step

    def _count(self, batch: Dict[str, Any]) -> float:
        ids = batch["ids"]
        self.tokens += ids.numel() + len(ids) * self.model.bridge.tokens
        return float(label_count(batch))

    def _rehearse(self) -> None:
        """The longest row, as often as a batch has places: what fits here fits everywhere."""
        item = self.data[self.data.longest()]
        result = self.trainer.rehearse(collate([item] * self.settings.batch_size))
        peak = f", peak {result['peak_bytes'] / 2**30:.2f} GiB" if result["peak_bytes"] else ""
        self.say(f"rehearsal at the largest size: caption_loss {result['loss']:.4f}{peak}")

    # -- callbacks ------------------------------------------------------------------------------
    def on_step(self, _step: int) -> None:
        if self.bar is not None:
            self.bar.update(1)  # type: ignore[unreachable]

    def on_log(self, record: Dict[str, float]) -> None:
        speed = self.tokens * self.runtime.world / max(time.monotonic() - self.since, 1e-9)
        self.say(watch.line(record, speed))
        if record["step"] == 1:
            self.say(watch.first_verdict(record["loss"]))
        self.log.write(record, speed)
        if self.board is not None:
            self.board.add_scalar("caption_loss", record["loss"], int(record["step"]))
            self.board.add_scalar("lr", record["lr"], int(record["step"]))
        self.tokens, self.since = 0, time.monotonic()

    def on_save(self, step: int) -> None:
        """A numbered weights file beside the state (`--save_every_steps`)."""
        name = f"vision_bridge_vlm_step{step}.pt" if self.settings.stage == 2 else ""
        if name:
            self.trainer.try_save(self._snapshot(step, float("nan")), self.settings.file(name))

    def on_epoch(self, epoch: int, mean: float) -> None:
        """Validate, say where the loss stands, write the final and the best file."""
        value = self._validate() if self.validation is not None else mean
        kind = "val_loss" if self.validation is not None else "no validation table"
        self.epoch_losses.append(mean)
        shown = f" {kind} {value:.4f}" if self.validation is not None else f" ({kind})"
        self.say(f"epoch {epoch} caption_loss {mean:.4f}{shown} [{watch.band(mean)}]")
        self.say(watch.epoch_verdict(epoch, self.epoch_losses))
        stage = self.settings.stage
        snapshot = self._snapshot(int(self.trainer.progress.step), value)
        self.trainer.try_save(snapshot, self.settings.file(weights.final_name(stage)))
        if value < self.trainer.progress.best:
            self.trainer.progress.best = value
            self.trainer.try_save(snapshot, self.settings.file(weights.best_name(stage)))

    def _snapshot(self, step: int, value: float) -> Dict[str, Any]:
        epoch = int(self.trainer.progress.epoch)
        return weights.snapshot(self.model, step, epoch, value, self.config)

    @torch.no_grad()
    def _validate(self) -> float:
        """Mean loss per label over the validation table, shared among the ranks."""
        assert self.validation is not None
        self.model.eval()
        total, count, size = 0.0, 0.0, max(8, self.settings.batch_size)
        mine = range(self.runtime.rank, len(self.validation), self.runtime.world)
        for begin in range(0, len(mine), size):
            batch = collate([self.validation[k] for k in mine[begin : begin + size]])
            with self.trainer.autocast():
                total += float(loss_sum(self.model, engine.to_device(batch, self.runtime.device)))
            count += label_count(batch)
        self.model.train()
        loss, labels = self.trainer.totals(total, count)
        return float(loss / max(labels, 1.0))

    # -- the end --------------------------------------------------------------------------------
    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()  # type: ignore[unreachable]
            self.bar = None
        if self.runtime.is_main and self.board is not None:
            self.board.close()
        if self.runtime.is_main:
            self._draw()

    def _draw(self) -> None:
        points = [(row[0], row[2]) for row in watch.read_log(self.log.path)]
        if points:
            path = self.settings.file(f"stage{self.settings.stage}_curve.png")
            watch.draw_curve(points, path, f"caption_loss, stage {self.settings.stage}")

    def _finish(self) -> None:
        final = self.settings.file(weights.final_name(self.settings.stage))
        if self.runtime.is_main and self.settings.safetensors:
            step = int(self.trainer.progress.step)
            weights.write_safetensors(self._snapshot(step, 0.0), final[:-3] + ".safetensors")
        skipped = self.trainer.progress.skipped
        self.say(
            f"done: {final}" + (f"; {skipped} steps were skipped (not finite)" if skipped else "")
        )
        engine.finish(self.runtime)


def _spread_out(length: int, count: int) -> List[int]:
    """Up to `count` different indices over the whole table."""
    return sorted({k * (length - 1) // max(1, count - 1) for k in range(min(count, length))})
