"""A run of the captioner: say what will happen, rehearse, train, validate, say what happened."""

from __future__ import annotations

import os
import time
from typing import Any, Dict, List, Optional, Tuple

import torch

from mambaops.payload.train import advice, banner, engine, folders, lm, watch, weights
from mambaops.payload.train.board import Board
from mambaops.payload.train.captioner import Captioner
from mambaops.payload.train.curve import draw_curve
from mambaops.payload.train.data import IGNORED, CaptionDataset, collate
from mambaops.payload.train.errors import InputError, OutOfMemory
from mambaops.payload.train.memory import peak_memory
from mambaops.payload.train.options import Settings
from mambaops.payload.train.table import spread_out
from mambaops.payload.train.trainlog import TrainLog
from mambaops.payload.train.validation import CONTROL_ROWS, Validation, Validator

HEARTBEAT = 30.0  # seconds between two signs of life
DRAWING = 60.0  # seconds between two curves


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
        self.drawn = time.monotonic()
        self.board: Any = None
        self.log: Any = None
        self.checkpointing = lm.checkpointed(language.model, settings.gradient_checkpointing)
        self.trainer: Any = None

    def say(self, text: str) -> None:
        if self.runtime.is_main and text:
            watch.say(text, self.bar)

    # -- the run --------------------------------------------------------------------------------
    def go(self) -> None:
        """Everything from the start weights to the last line."""
        settings = self.settings
        resumed = self._prepare()
        self.say(banner.text(self))
        audit = self.data.audit()
        self.say(audit.text(settings.length_audit_samples))
        if self.runtime.is_main:
            weights.write_json(settings.file(f"stage{settings.stage}_config.json"), self.config)
            self.log = TrainLog(settings.output_dir, settings.stage, resumed)
            self.log.beat(resumed, "rehearsing")
            self.board = Board(settings)
        self.loader = engine.Loader(self.data, collate, self.options(), self.runtime)
        try:
            self._rehearse(audit.longest)
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
            lr=self.rates[0],
            rates=self._front_rates(),
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
            shard=s.shard,
        )

    @property
    def rates(self) -> Tuple[float, float]:
        """(of the language model, of the bridge)"""
        return self.settings.rates(self.language.mode, self.language.is_random)

    def _front_rates(self) -> Tuple[Tuple[str, float], ...]:
        """The bridge, and a conv encoder, begin at random; a pretrained tower learns as slowly as a model."""
        names = ("bridge.", "vision.") if self.settings.vision == "conv" else ("bridge.",)
        return tuple((name, self.rates[1]) for name in names)

    def _prepare(self) -> int:
        """Start weights or resume; the step that was resumed from (0 for a new run)."""
        settings = self.settings
        state_file = settings.file(f"stage{settings.stage}_last.pt")
        resuming = bool(settings.resume)
        if not resuming:
            images = torch.stack([self.data[k]["image"] for k in spread_out(len(self.data), 8)])
            self.say(weights.start_weights(self.model, settings, images))
        self.trainer = engine.Trainer(
            self.model,
            self.options(),
            self.runtime,
            loss=loss_sum,
            weight=self._count,
            state_file=state_file,
            config=self.config,
        )
        self.validator = Validator(
            self.model,
            self.runtime,
            settings.batch_size,
            self.trainer.autocast,
            self.trainer.totals,
        )
        if not resuming:
            return 0
        return self._resume("" if settings.resume == "auto" else settings.resume)

    def _resume(self, path: str) -> int:
        source = path or self.trainer.state_file
        if not os.path.exists(source):
            if path:
                raise InputError(f"--resume {path} is not there")
            self.say(f"nothing to resume ({source} is not there): a new run")
            return 0
        folders.check_same_run(source, self.config)
        self.trainer.resume(path)
        step = int(self.trainer.progress.step)
        self.say(f"resumed from {source} at step {step}")
        return step

    def _count(self, batch: Dict[str, Any]) -> float:
        ids = batch["ids"]
        self.tokens += ids.numel() + len(ids) * self.model.bridge.tokens
        return float(label_count(batch))

    def _rehearse(self, longest: int) -> None:
        """The longest row, as often as a batch has places: what fits here fits everywhere."""
        item, table = self.data[longest], self.validation
        held_out = item if table is None else table[table.audit().longest]
        result = self.trainer.rehearse(
            collate([item] * self.settings.batch_size), lambda: self.validator.rehearse(held_out)
        )
        peak = f", peak {result['peak_bytes'] / 2**30:.2f} GiB" if result["peak_bytes"] else ""
        self.say(f"rehearsal at the largest size: caption_loss {result['loss']:.4f}{peak}")

    # -- callbacks ------------------------------------------------------------------------------
    def on_step(self, step: int) -> None:
        if self.bar is not None:
            self.bar.update(1)  # type: ignore[unreachable]
        if self.log is not None and time.monotonic() - self.log.beaten > HEARTBEAT:
            self.log.beat(step, "training")

    def on_log(self, record: Dict[str, float]) -> None:
        speed = self.tokens * self.runtime.world / max(time.monotonic() - self.since, 1e-9)
        record["memory_bytes"] = record["memory_bytes"] or peak_memory()
        self.say(watch.line(record, speed))
        if record["step"] == 1:
            self.say(watch.first_verdict(record["loss"]))
        self.log.write(record, speed)
        for name, value in (
            ("caption_loss", record["loss"]),
            ("lr", record["lr"]),
            ("bridge_lr", record["bridge.lr"]),
            ("tokens_per_s", speed),
            ("memory_gib", record["memory_bytes"] / 2**30),
        ):
            self.board.add(name, value, int(record["step"]))
        self.tokens, self.since = 0, time.monotonic()

    def on_save(self, step: int) -> None:
        """A numbered weights file beside the state (`--save_every_steps`); the oldest go (`--keep_steps`)."""
        if self.settings.stage == 2:
            path = self.settings.file(weights.step_name(step))
            saved = self.trainer.try_save(self._snapshot(step, float("nan")), path)
            if saved and self.runtime.is_main:
                folders.prune_steps(self.settings.output_dir, self.settings.keep_steps)

    def on_epoch(self, epoch: int, mean: float) -> None:
        """Validate, say where the loss stands, write the final and the best file."""
        step = int(self.trainer.progress.step)
        if self.log is not None:
            self.log.beat(step, f"validating after epoch {epoch}")
        measured = self.validator.measure(self.validation, self._control())
        value = mean if self.validation is None else measured.loss
        self.epoch_losses.append(mean)
        shown = " (no validation table)" if self.validation is None else f" val_loss {value:.4f}"
        self.say(f"epoch {epoch} caption_loss {mean:.4f}{shown} [{watch.band(mean)}]")
        self.say(watch.gap_line(measured))
        self.say(watch.epoch_verdict(epoch, self.epoch_losses, measured))
        self._note_epoch(step, epoch, mean, measured)
        snapshot = self._snapshot(step, value)
        stage = self.settings.stage
        self.trainer.try_save(snapshot, self.settings.file(weights.final_name(stage)))
        if value < self.trainer.progress.best:
            self.trainer.progress.best = value
            self.trainer.try_save(snapshot, self.settings.file(weights.best_name(stage)))
        self.tokens, self.since = 0, time.monotonic()

    def _control(self) -> CaptionDataset:
        """The validation table, where its answers differ; else the training table."""
        table = self.validation
        if table is None:
            return self.data
        first, chosen = table.answer(0), spread_out(len(table), CONTROL_ROWS)
        return table if any(table.answer(k) != first for k in chosen) else self.data

    def _note_epoch(self, step: int, epoch: int, mean: float, measured: Validation) -> None:
        if not self.runtime.is_main:
            return
        self.log.write_epoch(step, epoch, mean, measured)
        for name, value in (
            ("val_loss", measured.loss),
            ("shuffled_picture_loss", measured.shuffled),
            ("shuffled_picture_gap", measured.gap),
        ):
            if value == value:
                self.board.add(name, value, step)
        if time.monotonic() - self.drawn > DRAWING:
            self._draw()

    def _snapshot(self, step: int, value: float) -> Dict[str, Any]:
        epoch = int(self.trainer.progress.epoch)
        return weights.snapshot(self.model, step, epoch, value, self.config)

    # -- the end --------------------------------------------------------------------------------
    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()  # type: ignore[unreachable]
            self.bar = None
        if self.board is not None:
            self.board.close()
        if self.log is not None:
            self.say(self._draw())

    def _draw(self) -> str:
        self.drawn = time.monotonic()
        stage = self.settings.stage
        path = self.settings.file(f"stage{stage}_curve.png")
        return draw_curve(self.log.path, path, f"caption_loss, stage {stage}")

    def _finish(self) -> None:
        final = self.settings.file(weights.final_name(self.settings.stage))
        if self.settings.safetensors:
            snapshot = self._snapshot(int(self.trainer.progress.step), 0.0)
            if self.runtime.is_main:
                weights.write_safetensors(snapshot, final[:-3] + ".safetensors")
        skipped = self.trainer.progress.skipped
        self.say(
            f"done: {final}" + (f"; {skipped} steps were skipped (not finite)" if skipped else "")
        )
        if self.log is not None:
            self.log.beat(int(self.trainer.progress.step), "done")
        engine.finish(self.runtime)
