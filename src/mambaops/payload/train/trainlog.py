"""The CSV log of a run and its heartbeat. A full disk is said once, and what could not be written comes later."""

from __future__ import annotations

import csv
import io
import os
import time
from typing import Dict, List

from mambaops.payload.train.appending import Appender
from mambaops.payload.train.validation import Validation

# Rows of steps leave the last three empty; the row of an epoch has its mean loss and these.
COLUMNS = (
    "step",
    "epoch",
    "caption_loss",
    "lr",
    "tokens_per_s",
    "memory_gib",
    "skipped",
    "bridge_lr",
    "val_loss",
    "own_loss",
    "shuffled_loss",
)
_STEP_COLUMNS = len(COLUMNS) - 3


class TrainLog:
    """`stage2_train_log.csv`, one flushed row per log line and epoch, and a heartbeat file beside it.

    On a resume, rows after the resumed step are dropped first: they will be written again.
    """

    def __init__(self, folder: str, stage: int, resumed_step: int) -> None:
        self.path = os.path.join(folder, f"stage{stage}_train_log.csv")
        self.heartbeat = os.path.join(folder, f"stage{stage}_heartbeat.txt")
        rows = [row for row in _cells(self.path) if float(row[0]) <= resumed_step]
        self._file = Appender(self.path)
        self._file.waiting = "" if resumed_step and os.path.exists(self.path) else _line(COLUMNS)
        self.beaten = 0.0
        if resumed_step and os.path.exists(self.path):
            with open(self.path + ".tmp", "w", encoding="utf-8", newline="") as file:
                file.write("".join(map(_line, [COLUMNS, *rows])))
            os.replace(self.path + ".tmp", self.path)
        else:
            with open(self.path, "w", encoding="utf-8"):
                pass

    def write(self, record: Dict[str, float], tokens_per_s: float) -> None:
        memory = record["memory_bytes"] / 2**30
        row = [f"{record['step']:.0f}", f"{record['epoch']:.0f}", f"{record['loss']:.6f}"]
        row += [f"{record['lr']:.6g}", f"{tokens_per_s:.1f}", f"{memory:.3f}"]
        row += [f"{record['skipped']:.0f}", f"{record['bridge.lr']:.6g}"]
        self._file.add(_line([*row, "", "", ""]))
        self.beat(int(record["step"]), "training")

    def write_epoch(self, step: int, epoch: int, mean: float, measured: Validation) -> None:
        losses = (measured.loss, measured.own, measured.shuffled)
        cells = [f"{value:.6f}" if value == value else "" for value in losses]
        row = [str(step), str(epoch), f"{mean:.6f}", "", "", "", "", "", *cells]
        self._file.add(_line(row))

    def beat(self, step: int, what: str) -> None:
        """Say that we live: time, process, step, what is being done."""
        self.beaten = time.monotonic()
        try:
            with open(self.heartbeat, "w", encoding="utf-8") as file:
                now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
                file.write(f"{now} pid {os.getpid()} step {step} {what}\n")
        except OSError as error:
            self._file.warn(self.heartbeat, error)


def _line(row: object) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(row)  # type: ignore[arg-type]
    return text.getvalue()


def _cells(path: str) -> List[List[str]]:
    """The log's rows as written; an unfinished last line (a kill) is left out, short rows of older releases stay."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [row + [""] * (len(COLUMNS) - len(row)) for row in rows if len(row) in (7, len(COLUMNS))]


def read_log(path: str) -> List[List[float]]:
    """The rows of steps as numbers, without the last three columns."""
    rows = [row for row in _cells(path) if row[3]]
    return [[float(cell or "nan") for cell in row[:_STEP_COLUMNS]] for row in rows]


def read_epochs(path: str) -> List[Dict[str, float]]:
    """The rows of epochs: step, epoch, caption_loss, val_loss, own_loss, shuffled_loss (nan where unmeasured)."""
    names = ("step", "epoch", "caption_loss", *COLUMNS[_STEP_COLUMNS:])
    rows = [row for row in _cells(path) if not row[3]]
    return [{n: float(row[COLUMNS.index(n)] or "nan") for n in names} for row in rows]
