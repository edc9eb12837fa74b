"""The native engine: torch and PyYAML only, on the training engine that the captioner uses too."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Tuple

import torch
from torch import Tensor, nn

from mambaops.payload.train import engine
from mambaops.payload.train.appending import Appender
from mambaops.payload.train.errors import InputError
from mambaops.payload.train.graph import config as settings
from mambaops.payload.train.graph import data, records
from mambaops.payload.train.graph.config import Config
from mambaops.payload.train.graph.data import Graph
from mambaops.payload.train.graph.kernels import choose_kernels
from mambaops.payload.train.graph.model import GraphMamba


@dataclass(frozen=True)
class Job:
    """What to run: the configuration, the folder `<out>/<config>-<tag>`, how often, how."""

    config: Config
    folder: str
    repeat: int = 1
    resume: bool = True
    require_kernels: bool = False
    trust_pickle: bool = False


Log = Any  # callable: one line for the terminal and the log file


def run(job: Job) -> Dict[str, records.Row]:
    """Train `repeat` times with seeds seed, seed + 1, …; returns and writes the aggregate.

    Raises:
        TrainError: and its kin; each names what was wrong and what to do.
    """
    config = job.config
    notes = settings.check(config)
    os.makedirs(job.folder, exist_ok=True)
    records.write(os.path.join(job.folder, "config.yaml"), settings.as_yaml(config))
    graphs = data.load(config, trust_pickle=job.trust_pickle)
    # the same split for every repeat: their spread is then that of the training alone
    parts = data.split(graphs, config["dataset.split"], config["seed"])
    seeds = [config["seed"] + number for number in range(job.repeat)]
    for seed in seeds:
        runtime = engine.start(seed=seed, device=config["accelerator"])
        log = _log_file(os.path.join(job.folder, str(seed)), runtime.is_main)
        for note in notes + _described(config, parts, runtime.device):
            log(note)
        _Run(job, parts, seed, runtime, log).fit()
    return _aggregate(job.folder, seeds) if runtime.is_main else {}


def _aggregate(folder: str, seeds: List[int]) -> Dict[str, records.Row]:
    result = records.aggregate(folder, seeds)
    for split, row in result.items():
        spread = f" ± {row['accuracy_std']:.4f}" if len(seeds) > 1 else ""
        print(f"best {split:5s} accuracy {row['accuracy']:.4f}{spread}  (epochs {row['epochs']})")
    print(f"written: {os.path.join(folder, 'agg', 'test', 'best.json')}", flush=True)
    return result


def _log_file(folder: str, is_main: bool) -> Log:
    """A function that prints a line and adds it to `logging.log`; silent on other ranks."""
    file = Appender(os.path.join(folder, "logging.log"))

    def log(line: str) -> None:
        if is_main:
            print(line, flush=True)
            file.add(line + "\n")

    return log


def _described(config: Config, parts: Dict[str, List[Graph]], device: torch.device) -> List[str]:
    """The banner: what computes, on what data, and what guessing would give."""
    labels = torch.cat([graph.y for graph in parts["test"]])
    common = float(torch.bincount(labels).max()) / len(labels)
    sizes = ", ".join(f"{len(graphs)} {name}" for name, graphs in parts.items())
    nodes = sum(len(graph.x) for graphs in parts.values() for graph in graphs)
    where = config["dataset.dir"]
    kind = "generated trees (no --data_dir)" if where == "synthetic" else where
    gpu = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
    return [
        f"torch {torch.__version__} on {device}{gpu}",
        f"data: {kind}: graphs {sizes}; {nodes} nodes; "
        f"always saying the commonest class gives {common:.4f} on test",
    ]


class _Run:
    """One seed: model, trainer, records."""

    def __init__(
        self,
        job: Job,
        parts: Dict[str, List[Graph]],
        seed: int,
        runtime: engine.Runtime,
        log: Log,
    ) -> None:
        self.config, self.parts, self.seed = job.config, parts, seed
        self.runtime, self.log, self.resume = runtime, log, job.resume
        self.folder = os.path.join(job.folder, str(seed))
        self.state_file = os.path.join(self.folder, "ckpt", "last.ckpt")
        self.options = _options(job.config, seed)
        self.loader = engine.Loader(parts["train"], data.collate, self.options, runtime)
        self.trainer = engine.Trainer(
            self._model(job.require_kernels),
            self.options,
            runtime,
            loss=self._loss,
            weight=lambda batch: float(len(batch.y)),
            state_file=self.state_file,
            config={"graph": json.dumps(job.config, sort_keys=True)},
        )
        self.rows = {
            name: Appender(records.stats_file(self.folder, name)) for name in records.SPLITS
        }
        self.best: Tuple[float, int] = (-1.0, -1)
        self.started = time.monotonic()
        self._seen: List[Tensor] = []  # [right, nodes] per batch of this epoch, on the device

    def _loss(self, model: nn.Module, batch: Graph) -> Tensor:
        """Sum over nodes; counts what was right on the way: a second pass would double the time."""
        scores = model(batch)
        right = (scores.detach().argmax(1) == batch.y).sum()
        self._seen.append(torch.stack([right, torch.full_like(right, len(batch.y))]))
        return nn.functional.cross_entropy(scores, batch.y, reduction="sum")

    def _trained(self, loss: float) -> records.Row:
        """The training row of the epoch: as the steps saw it, while the weights moved."""
        right, nodes = torch.stack(self._seen).sum(0).tolist() if self._seen else (0, 1)
        return {"loss": round(loss, 6), "accuracy": round(right / nodes, 6)}

    def _model(self, require_kernels: bool) -> GraphMamba:
        everything = [graph for graphs in self.parts.values() for graph in graphs]
        classes = max(2, max(int(graph.y.max()) for graph in everything) + 1)
        kernels = None
        if settings.mamba_kind(self.config) != "None":
            kernels, reason = choose_kernels(self.runtime.device, require=require_kernels)
            self.log(f"Mamba layers compute with {reason}")
        else:
            self.log("no Mamba layer in this configuration: GatedGCN alone")
        width = everything[0].edge_attr.shape[1]
        model = GraphMamba(self.config, edge_width=width, classes=classes, kernels=kernels)
        self.log(f"{sum(p.numel() for p in model.parameters())} parameters, {classes} classes")
        return model

    def fit(self) -> None:
        """Train to the last epoch, continuing an interrupted run of the same configuration."""
        continued = self.resume and self.trainer.resume()
        if continued:
            self._same_configuration()
            self.log(f"continued after epoch {self.trainer.progress.epoch} from {self.state_file}")
        if self.runtime.is_main:
            records.truncate(self.folder, self.trainer.progress.epoch)
            for row in records.read(self.folder, "val"):
                self.best = max(self.best, (row["accuracy"], -row["epoch"]))
        if self.runtime.device.type == "cuda" and not continued:
            self._rehearse()
        self.trainer.fit(self.loader, on_epoch=self._epoch_done)

    def _same_configuration(self) -> None:
        """A finished or half-finished run with other settings must not be continued by mistake."""
        saved = json.loads(engine.load_checkpoint(self.state_file)["config"]["graph"])
        ours = json.loads(json.dumps(self.config))
        different = [name for name in ours if saved.get(name) != ours[name]]
        if different:
            shown = ", ".join(f"{name} ({saved.get(name)} there)" for name in different[:4])
            raise InputError(
                f"{self.folder} holds a run with other settings: {shown}",
                hint="--name_tag NAME keeps both; --resume never starts anew and replaces it",
            )

    def _rehearse(self) -> None:
        """The largest batch must fit before the first epoch, not in the middle of the night."""
        size = self.options.batch_size
        largest = sorted(self.parts["train"], key=lambda graph: -len(graph.x))[:size]
        peak = self.trainer.rehearse(data.collate(largest))["peak_bytes"]
        self._seen = []
        self.log(f"the largest batch takes {peak / 2**30:.2f} GiB")

    def _epoch_done(self, epoch: int, train_loss: float) -> None:
        last = epoch == self.config["optim.max_epoch"]
        trained = self._trained(train_loss)
        self._seen = []
        if not self.runtime.is_main or (epoch % self.config["train.eval_period"] and not last):
            return
        rows = {name: self.evaluate(self.parts[name]) for name in ("val", "test")}
        rows = {"train": trained, **rows}
        rate = self.trainer.optimizer.param_groups[0]["lr"]
        for name, row in rows.items():
            self.rows[name].add(json.dumps({"epoch": epoch - 1, "lr": rate, **row}) + "\n")
        shown = " ".join(
            f"{name}_loss {row['loss']:.4f} {name}_accuracy {row['accuracy']:.4f}"
            for name, row in rows.items()
        )
        self.log(f"epoch {epoch} {shown} lr {rate:.2e} time {time.monotonic() - self.started:.1f}s")
        self._keep(epoch, rows["val"]["accuracy"])

    def _keep(self, epoch: int, accuracy: float) -> None:
        """`best.ckpt` where validation improved, `<epoch>.ckpt` every `ckpt_period` epochs."""
        folder = os.path.dirname(self.state_file)
        state = {
            "epoch": epoch,
            "model_state_dict": engine.trainable_state(self.trainer.unwrapped),
            "config": self.trainer.config,
        }
        if (accuracy, 1 - epoch) > self.best:
            self.best = (accuracy, 1 - epoch)
            self.trainer.try_save(state, os.path.join(folder, "best.ckpt"))
        if epoch % self.config["train.ckpt_period"] == 0:
            self.trainer.try_save(state, os.path.join(folder, f"{epoch}.ckpt"))

    def evaluate(self, graphs: List[Graph]) -> records.Row:
        """Mean loss and accuracy over the nodes; random orders are drawn from the seed alone."""
        return evaluate(
            self.trainer.unwrapped, graphs, self.options.batch_size, self.runtime, self.seed
        )


def evaluate(
    model: nn.Module, graphs: List[Graph], size: int, runtime: engine.Runtime, seed: int
) -> records.Row:
    """Mean loss and accuracy per node, with a generator of its own: training is not disturbed."""
    loss, right, nodes = 0.0, 0, 0
    cuda = [runtime.device] if runtime.device.type == "cuda" else []
    model.eval()
    with torch.no_grad(), torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        for start in range(0, len(graphs), size):
            batch = data.collate(graphs[start : start + size]).to(runtime.device)
            scores = model(batch)
            loss += float(nn.functional.cross_entropy(scores, batch.y, reduction="sum"))
            right += int((scores.argmax(1) == batch.y).sum())
            nodes += len(batch.y)
    model.train()
    return {"loss": round(loss / nodes, 6), "accuracy": round(right / nodes, 6)}


def _options(config: Config, seed: int) -> engine.Options:
    epochs = config["optim.max_epoch"]
    constant = config["optim.scheduler"] == "none"
    return engine.Options(
        epochs=epochs,
        lr=config["optim.base_lr"],
        batch_size=config["train.batch_size"],
        weight_decay=config["optim.weight_decay"],
        warmup=0.0 if constant else min(1.0, config["optim.num_warmup_epochs"] / epochs),
        min_lr=1.0 if constant else 0.0,
        clip=config["optim.clip_grad_norm_value"] if config["optim.clip_grad_norm"] else 0.0,
        amp="off",
        seed=seed,
        num_workers=config["num_workers"],
        log_every_steps=0,
        betas=(0.9, 0.999),
    )
