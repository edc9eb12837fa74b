"""The training engine: plain PyTorch, shared by the captioner and by Graph-Mamba.

What a program gives it: a model, `loss(model, batch)` (the SUM over labels, a scalar tensor) and
`weight(batch)` (how many labels that is). What it gets back: seeds, devices and DDP under torchrun, BF16
autocast with FP32 parameters, optimizer groups, warm-up and cosine, accumulation weighted by labels,
clipping, skipped non-finite steps, atomic checkpoints, exact resume, and an orderly end on a signal.

    runtime = engine.start(seed=0)
    options = engine.Options(epochs=20, lr=2e-5, batch_size=1, accumulation=8)
    trainer = engine.Trainer(model, options, runtime, loss=loss, weight=weight, state_file="out/last.pt")
    trainer.resume()                                  # if the file is there
    trainer.fit(engine.Loader(dataset, collate, options, runtime), on_log=print, on_epoch=validate)

Random numbers drawn in a step depend on (seed, rank, step) alone and the order of the data on
(seed, epoch) alone. So a resumed run needs no saved generator: its next losses are the same.
"""

from __future__ import annotations

import math
import os
import signal
import time
from contextlib import contextmanager, nullcontext
from typing import Any, Callable, ContextManager, Dict, Iterator, List, Optional

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mambaops.payload.train import sharding
from mambaops.payload.train.checkpoints import (
    load_checkpoint,
    load_weights,
    save_atomically,
    trainable_state,
)
from mambaops.payload.train.errors import (
    OutOfMemory,
    Stopped,
    TrainError,
    is_out_of_memory,
    noted_signals,
)
from mambaops.payload.train.loading import Loader, Sampler
from mambaops.payload.train.progress import Calls, Progress, nothing, to_device
from mambaops.payload.train.setup import (
    Options,
    Runtime,
    finish,
    learning_rate,
    parameter_groups,
    start,
)

__all__ = [
    "Loader",
    "Options",
    "Progress",
    "Runtime",
    "Sampler",
    "Trainer",
    "finish",
    "learning_rate",
    "load_checkpoint",
    "load_weights",
    "parameter_groups",
    "save_atomically",
    "start",
    "to_device",
    "trainable_state",
]


class Trainer:
    """Runs the loop. `model` may be any module; `unwrapped` is it without DDP around it.

    Args:
        loss: (model, batch moved by `to_device`) -> SUM of the losses over labels, scalar tensor.
        weight: batch -> number of labels in it; gradients are those of the mean over all labels of
            an accumulation window, over all ranks.
        state_file: the checkpoint to resume from; holds trainable parameters and buffers only.
        config: plain values kept in the checkpoint.
    """

    def __init__(
        self,
        model: nn.Module,
        options: Options,
        runtime: Runtime,
        *,
        loss: Callable[[nn.Module, Any], Tensor],
        weight: Callable[[Any], float],
        state_file: str,
        config: Optional[Dict[str, Any]] = None,
    ) -> None:
        self.options, self.runtime, self.progress = options, runtime, Progress()
        self.sharded = options.shard and runtime.world > 1
        self.unwrapped = model if self.sharded else model.to(runtime.device)
        self.model = self._wrap(self.unwrapped)
        self._loss, self._weight = loss, weight
        self.state_file, self.config = state_file, dict(config or {})
        fused = {"fused": True} if runtime.device.type == "cuda" else {}
        groups = parameter_groups(self.unwrapped, options)
        self.optimizer = torch.optim.AdamW(groups, lr=options.lr, betas=options.betas, **fused)
        self._note: Dict[str, int] = {}
        self._bad = 0
        self.failed_saves: Dict[str, TrainError] = {}
        self._since = time.monotonic()

    def _wrap(self, model: nn.Module) -> nn.Module:
        if self.runtime.world == 1:
            return model
        if self.sharded:
            return sharding.shard(model, self.runtime.device, self.runtime.world)
        ids = [self.runtime.device.index] if self.runtime.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(model, device_ids=ids)

    # -- one step -------------------------------------------------------------------------------
    def autocast(self) -> ContextManager[Any]:
        """BF16 autocast on CUDA (`amp=auto`) or where asked for; parameters stay FP32."""
        kind = self.runtime.device.type
        if self.options.amp == "bf16" or (self.options.amp == "auto" and kind == "cuda"):
            return torch.autocast(kind, dtype=torch.bfloat16)
        return nullcontext()

    def _seed_step(self, number: int) -> None:
        torch.manual_seed((self.options.seed * 1000003 + number) * 64 + self.runtime.rank)

    def totals(self, *values: float) -> List[float]:
        """Sums over all ranks."""
        if self.runtime.world == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.runtime.device)
        dist.all_reduce(total)
        return total.tolist()

    def backward(self, batches: List[Any], ghosts: List[bool]) -> List[float]:
        """Gradients of the mean loss over a window; returns [mean loss, labels, asked to stop]."""
        labels = [0.0 if ghost else float(self._weight(b)) for b, ghost in zip(batches, ghosts)]
        weight, stop = self.totals(sum(labels), float(bool(self._note)))
        scale, total = self.runtime.world / max(weight, 1.0), 0.0
        for number, batch in enumerate(batches):
            last = number == len(batches) - 1
            with self._accumulating(last):
                with self.autocast():
                    loss = self._loss(self.model, to_device(batch, self.runtime.device))
                loss = loss * (0.0 if ghosts[number] else 1.0)
                (loss * scale).backward()
            total += float(loss.detach())
        return [self.totals(total)[0] / max(weight, 1.0), weight, stop]

    def _accumulating(self, last: bool) -> ContextManager[Any]:
        """Gradients are exchanged with the window's last micro-batch only."""
        if self.sharded:
            self.model.set_requires_gradient_sync(last)  # type: ignore[operator]
        elif not last and self.runtime.world > 1:
            return self.model.no_sync()  # type: ignore[operator,no-any-return]
        return nullcontext()

    def _update(self, total_steps: int) -> bool:
        """Clip and step; False where the gradients are not finite (the step is skipped)."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.options.clip or math.inf)
        norm = sharding.whole(norm)
        finite = bool(torch.isfinite(norm))
        if finite:
            rate = learning_rate(self.options, self.progress.step, total_steps)
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["share"]
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return finite

    def rehearse(self, batch: Any, also: Optional[Callable[[], Any]] = None) -> Dict[str, float]:
        """One whole step that changes nothing: what does not fit must be known before epoch 1.

        Args:
            also: what else a run does, such as validating a batch.

        Returns:
            {"loss": mean loss, "peak_bytes": device memory at its highest (0 on the CPU)}
        """
        cuda = self.runtime.device.type == "cuda"
        if cuda:
            torch.cuda.reset_peak_memory_stats(self.runtime.device)
        self._seed_step(-1 % 2**20)
        with self.memory_guard("in the rehearsal of the largest step"):
            loss = self.backward([batch], [False])[0]
            self._rehearse_update()
        if also is not None:
            with self.memory_guard("in the rehearsal of a validation batch"):
                also()
        peak = torch.cuda.max_memory_allocated(self.runtime.device) if cuda else 0
        return {"loss": loss, "peak_bytes": float(peak)}

    def _rehearse_update(self) -> None:
        """An optimizer step at rate 0 on gradients of 0: it makes AdamW's two states, which then stay 0."""
        groups = self.optimizer.param_groups
        if not self.optimizer.state:
            rates = [group["lr"] for group in groups]
            for group in groups:
                group["lr"] = 0.0
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        parameter.grad.zero_()
            self.optimizer.step()
            self.optimizer.state.clear()
            for group, rate in zip(groups, rates):
                group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)

    # -- the loop -------------------------------------------------------------------------------
    def fit(
        self,
        loader: Loader,
        *,
        on_log: Optional[Callable[[Dict[str, float]], None]] = None,
        on_epoch: Optional[Callable[[int, float], None]] = None,
        on_save: Optional[Callable[[int], None]] = None,
        on_step: Optional[Callable[[int], None]] = None,
    ) -> None:
        """Train until `epochs` (or `max_steps`) are done.

        Args:
            on_log: called on rank 0 with step, epoch (from 1), loss, lr, labels_per_s, memory_bytes at the
                first and the last step, every `log_every_steps`, and at least twenty times a run; every
                rank calls `on_epoch`.
            on_epoch: (epoch from 1, its mean training loss); the state is saved before and after.
            on_save: (step) after each save of `save_every_steps`, on every rank.
            on_step: (step) after every step, on every rank.

        Raises:
            Stopped: a signal came; saved. OutOfMemory: saved. TrainError: saved; see the message.
        """
        calls = Calls(on_log or nothing, on_save or nothing, on_step or nothing)
        with noted_signals(self._note):
            while self.progress.epoch < self.options.epochs and not self._is_over():
                try:
                    self._epoch(loader, calls)
                except (Stopped, OutOfMemory):
                    raise
                except TrainError:  # such as a picture that cannot be read
                    self.try_save()
                    raise
                if on_epoch is not None:
                    self.try_save()  # validation may run out of memory, or be killed
                mean = self.progress.end_epoch()
                if on_epoch is not None:
                    with self.memory_guard(f"validating after epoch {self.progress.epoch}"):
                        on_epoch(self.progress.epoch, mean)
                self.try_save()
        for failure in self.failed_saves.values():
            raise failure

    def _is_over(self) -> bool:
        return bool(self.options.max_steps) and self.progress.step >= self.options.max_steps

    def total_steps(self, loader: Loader) -> int:
        whole = self.options.epochs * math.ceil(len(loader) / self.options.accumulation)
        return min(whole, self.options.max_steps or whole)

    def _epoch(self, loader: Loader, calls: Calls) -> None:
        self.model.train()
        self._since = time.monotonic()
        for batches, ghosts in self._windows(loader):
            self._seed_step(self.progress.step)
            with self.memory_guard(f"at step {self.progress.step + 1}"):
                loss, weight, stop = self.backward(batches, ghosts)
            self._step_taken(self._update(self.total_steps(loader)), loss, len(batches))
            if math.isfinite(loss):
                self.progress.add(loss, weight)
            calls.on_step(self.progress.step)
            self._log(calls.on_log, self.total_steps(loader))
            self._save_on_the_way(calls.on_save)
            if stop:
                self._leave()
            if self._is_over():
                break

    def _log(self, on_log: Callable[[Dict[str, float]], None], total: int) -> None:
        every, step = min(self.options.log_every_steps, max(1, total // 20)), self.progress.step
        if step not in (1, total) and (not every or step % every):
            return
        if self.runtime.is_main:
            on_log(self._record())
        self.progress.window_loss = self.progress.window_weight = 0.0
        self._since = time.monotonic()

    def _windows(self, loader: Loader) -> Iterator[Any]:
        """Lists of `accumulation` micro-batches (fewer at the end), with their ghost marks."""
        number = self.progress.batches
        batches: List[Any] = []
        ghosts: List[bool] = []
        for batch in loader.epoch(self.progress.epoch, number):
            if self._note and self.runtime.world == 1:
                self._leave()  # several ranks leave together, after a step
            batches.append(batch)
            ghosts.append(self.runtime.world > 1 and loader.sampler.is_ghost(number))
            number += 1
            if len(batches) == self.options.accumulation or number == len(loader):
                yield batches, ghosts
                batches, ghosts = [], []

    def _step_taken(self, finite: bool, loss: float, batches: int) -> None:
        self.progress.step += 1
        self.progress.batches += batches
        self._bad = 0 if finite and math.isfinite(loss) else self._bad + 1
        if not finite:
            self.progress.skipped += 1
        if self._bad >= self.options.max_bad_steps:
            raise TrainError(
                f"{self._bad} steps in a row gave no finite gradient (step {self.progress.step})",
                hint="lower --lr, check the data, or train without BF16: --amp off",
            )

    def _record(self) -> Dict[str, float]:
        seconds = max(time.monotonic() - self._since, 1e-9)
        cuda = self.runtime.device.type == "cuda"
        now = self.progress
        return {
            "step": now.step,
            "epoch": now.epoch + 1,
            "loss": now.window_loss / now.window_weight if now.window_weight else math.nan,
            "lr": self._rate(""),
            **{f"{prefix}lr": self._rate(prefix) for prefix, _rate in self.options.rates},
            "labels_per_s": now.window_weight / seconds,
            "memory_bytes": torch.cuda.max_memory_allocated() if cuda else 0,
            "skipped": now.skipped,
        }

    def _rate(self, prefix: str) -> float:
        """The current rate of the parameters of `options.rates`' `prefix`; "": of all others."""
        return next(g["lr"] for g in self.optimizer.param_groups if g["prefix"] == prefix)

    # -- saving ---------------------------------------------------------------------------------
    def state(self) -> Dict[str, Any]:
        """Everything that a resume needs, loadable with `weights_only=True`."""
        return {
            "step": self.progress.step,
            "epoch": self.progress.epoch,
            "model_state_dict": trainable_state(self.unwrapped),
            "optimizer": sharding.whole_states(self.optimizer),
            "progress": dict(vars(self.progress)),
            "config": self.config,
        }

    def save(self) -> None:
        """Write `state_file` (rank 0 only; every rank gives its part where the model is split)."""
        state = self.state() if self.runtime.is_main or self.sharded else {}
        if self.runtime.is_main:
            save_atomically(state, self.state_file)

    def try_save(self, value: Optional[Dict[str, Any]] = None, path: str = "") -> bool:
        """Save on the way (default: the state). A failure is said and the next save tries again, for
        ending would lose what memory holds; what fails to the end is raised by `fit`."""
        path = path or self.state_file
        if value is None and (self.runtime.is_main or self.sharded):
            value = self.state()
        if not self.runtime.is_main:
            return True
        try:
            save_atomically(value or {}, path)
        except TrainError as error:
            self.failed_saves[path] = error
            print(
                f"warning: {error.message} Training goes on; the next save tries again.", flush=True
            )
            return False
        self.failed_saves.pop(path, None)
        return True

    def _save_on_the_way(self, on_save: Callable[[int], None]) -> None:
        every = self.options.save_every_steps
        if every and self.progress.step % every == 0:
            self.try_save()
            on_save(self.progress.step)

    def _leave(self) -> None:
        self.save()
        signum = self._note.get("signum", signal.SIGTERM)
        name = signal.Signals(signum).name
        raise Stopped(
            signum,
            f"{name}: saved at step {self.progress.step} to {self.state_file}; --resume auto continues",
        )

    @contextmanager
    def memory_guard(self, where: str) -> Iterator[None]:
        """Turn running out of memory into an `OutOfMemory` that says `where`, after saving the state."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            failure = self._out_of_memory(str(error), where)
        else:
            return
        raise failure

    def _out_of_memory(self, text: str, where: str) -> OutOfMemory:
        """Outside the handler: the traceback would keep the step's tensors alive."""
        cuda = self.runtime.device.type == "cuda"
        peak = torch.cuda.max_memory_allocated() if cuda else 0
        self.optimizer.zero_grad(set_to_none=True)
        if cuda:
            torch.cuda.empty_cache()
        if self.progress.step and not self.sharded:  # the other ranks would not give their parts
            self.try_save()
        measured = f"; measured peak {peak / 2**30:.2f} GiB" if cuda else ""
        return OutOfMemory(f"out of memory {where}{measured} ({(text.splitlines() or ['?'])[0]})")

    def resume(self, path: str = "") -> bool:
        """Continue from `path` (default: `state_file`); False where there is no such file.

        Raises:
            TrainError: damaged, or of a model of another shape.
        """
        path = path or self.state_file
        if not os.path.exists(path):
            return False
        saved = load_checkpoint(path)
        if "optimizer" not in saved:
            raise TrainError(f"{path} holds weights only: it cannot be resumed from")
        load_weights(self.unwrapped, saved["model_state_dict"], path)
        ours = [(group["share"], group["prefix"]) for group in self.optimizer.param_groups]
        try:
            states = sharding.split_states(saved["optimizer"], self.optimizer)
            self.optimizer.load_state_dict(states)
        except ValueError as error:
            raise TrainError(
                f"{path} cannot be resumed from: {error}",
                hint="it is of an older release, or other parts learned then: --vision_checkpoint takes its weights",
            ) from error
        for group, (share, prefix) in zip(self.optimizer.param_groups, ours):
            group.update(share=share, prefix=prefix)
        self.progress = Progress(**saved["progress"])
        return True
