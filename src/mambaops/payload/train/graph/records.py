"""What a run leaves behind: stats.json per split and epoch, the best epoch, the mean over repeats."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List

from mambaops.payload.train.errors import TrainError

SPLITS = ("train", "val", "test")
Row = Dict[str, Any]


def stats_file(folder: str, split: str) -> str:
    """One JSON line an epoch."""
    return os.path.join(folder, split, "stats.json")


def read(folder: str, split: str) -> List[Row]:
    """The rows so far; a line that a kill cut short ends them."""
    rows: List[Row] = []
    try:
        with open(stats_file(folder, split), encoding="utf-8") as file:
            for line in file:
                rows.append(json.loads(line))
    except FileNotFoundError:
        return []
    except ValueError:
        pass
    return rows


def truncate(folder: str, epochs: int) -> None:
    """Drop the rows after `epochs`: a resumed run writes them again (0 drops all)."""
    for split in SPLITS:
        rows = [row for row in read(folder, split) if row["epoch"] < epochs]
        if os.path.exists(stats_file(folder, split)):
            write(stats_file(folder, split), "".join(json.dumps(row) + "\n" for row in rows))


def write(path: str, text: str) -> None:
    """Write beside, then replace.

    Raises:
        TrainError: the folder cannot be written to, or the disk is full.
    """
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:
        raise TrainError(f"cannot write {path}: {error.strerror}") from error


def best_epoch(folder: str) -> int:
    """The epoch (from 0) of the highest validation accuracy; the first of equals.

    Raises:
        TrainError: no epoch was evaluated.
    """
    rows = read(folder, "val")
    if not rows:
        raise TrainError(f"{folder} holds no evaluated epoch")
    return int(max(rows, key=lambda row: (row["accuracy"], -row["epoch"]))["epoch"])


def aggregate(run: str, seeds: List[int]) -> Dict[str, Row]:
    """Mean and standard deviation over the seeds, at each seed's best epoch.

    Writes `<run>/agg/{train,val,test}/best.json` and returns {split: its content}.
    """
    folders = [os.path.join(run, str(seed)) for seed in seeds]
    epochs = [best_epoch(folder) for folder in folders]
    result: Dict[str, Row] = {}
    for split in SPLITS:
        rows = [_at(read(folder, split), epoch) for folder, epoch in zip(folders, epochs)]
        result[split] = {"seeds": seeds, "epochs": epochs}
        for name in ("accuracy", "loss"):
            values = [float(row[name]) for row in rows]
            mean = sum(values) / len(values)
            variance = sum((value - mean) ** 2 for value in values) / len(values)
            result[split][name] = round(mean, 6)
            result[split][f"{name}_std"] = round(variance**0.5, 6)
        write(os.path.join(run, "agg", split, "best.json"), json.dumps(result[split], indent=2))
    return result


def _at(rows: List[Row], epoch: int) -> Row:
    return next(row for row in rows if row["epoch"] == epoch)
