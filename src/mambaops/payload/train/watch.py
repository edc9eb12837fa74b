"""Watching a run: lines, the CSV log, the bands of `caption_loss`, verdicts, the curve as a picture."""

from __future__ import annotations

import csv
import math
import os
import sys
import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

# The stages that `caption_loss` goes through: (from, to, meaning).
BANDS: Tuple[Tuple[float, float, str], ...] = (
    (6.0, 8.0, "start: nothing is aligned yet"),
    (3.0, 4.0, "learning: pictures and text begin to match"),
    (0.0, 2.0, "target: reports read like reports"),
)
TARGET, STUCK, STUCK_EPOCHS = 2.0, 4.0, 5
COLUMNS = ("step", "epoch", "caption_loss", "lr", "tokens_per_s", "memory_gib", "skipped")


def band(loss: float) -> str:
    """Which band a loss is in, or between which."""
    for low, high, meaning in BANDS:
        if low <= loss < high:
            return meaning
    if not math.isfinite(loss):
        return "not a number"
    if loss >= 8.0:
        return "above 8: higher than an untrained model of 3000 tokens"
    return "falling: between start and learning" if loss > 4.0 else "near the target"


def first_verdict(loss: float) -> str:
    """What the very first loss says about the set-up ("" when nothing)."""
    if loss < 0.1:
        return (
            f"caption_loss starts at {loss:.4f}: too good. The answer is visible to the model "
            "(masking), or it was trained on this table before."
        )
    return ""


def epoch_verdict(epoch: int, losses: Sequence[float]) -> str:
    """Advice after an epoch; `losses` are the epochs' means so far."""
    loss = losses[-1]
    if loss < TARGET:
        first = next(number for number, value in enumerate(losses, 1) if value < TARGET)
        return f"below {TARGET} since epoch {first}: {BANDS[2][2]}"
    if epoch >= STUCK_EPOCHS and loss > STUCK:
        return (
            f"still above {STUCK} after {epoch} epochs: training does not take. Check the paths and the "
            "CSV (does each answer belong to its image?), then --lr, then --from_scratch."
        )
    if len(losses) >= 3 and loss > losses[-3] * 1.05:
        return "rising for two epochs: lower --lr"
    return ""


def line(record: Dict[str, float], tokens_per_s: float) -> str:
    """e.g. `epoch 1 step 20 caption_loss 6.9312 lr 2.0e-05 tok/s 812 mem 11.2G`"""
    text = (
        f"epoch {record['epoch']:.0f} step {record['step']:.0f} caption_loss {record['loss']:.4f} "
        f"lr {record['lr']:.1e} tok/s {tokens_per_s:.0f}"
    )
    if record["memory_bytes"]:
        text += f" mem {record['memory_bytes'] / 2**30:.1f}G"
    return text + (f" skipped {record['skipped']:.0f}" if record["skipped"] else "")


class TrainLog:
    """`stage2_train_log.csv`, one flushed row per log line, and a heartbeat file beside it.

    On a resume, rows after the resumed step are dropped first: they will be written again.
    """

    def __init__(self, folder: str, stage: int, resumed_step: int) -> None:
        os.makedirs(folder, exist_ok=True)
        self.path = os.path.join(folder, f"stage{stage}_train_log.csv")
        self.heartbeat = os.path.join(folder, f"stage{stage}_heartbeat.txt")
        rows = _cells(self.path) if resumed_step else []
        with open(self.path + ".tmp", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(row for row in rows if float(row[0]) <= resumed_step)
        os.replace(self.path + ".tmp", self.path)

    def write(self, record: Dict[str, float], tokens_per_s: float) -> None:
        memory = record["memory_bytes"] / 2**30
        row = [record["step"], record["epoch"], f"{record['loss']:.6f}", f"{record['lr']:.6g}"]
        row += [f"{tokens_per_s:.1f}", f"{memory:.3f}", record["skipped"]]
        with open(self.path, "a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerow(row)
        with open(self.heartbeat, "w", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} step {record['step']:.0f}\n")


def _cells(path: str) -> List[List[str]]:
    """The log's rows as written; an unfinished last line (a kill) is left out."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return [row for row in list(csv.reader(file))[1:] if len(row) == len(COLUMNS)]


def read_log(path: str) -> List[List[float]]:
    """The log's rows as numbers."""
    return [[float(cell) for cell in row] for row in _cells(path)]


def progress_bar(total: int, done: int) -> Optional[Any]:
    """tqdm's bar where stderr is a terminal and tqdm is there, else None (plain lines tell)."""
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm  # type: ignore[import-untyped]
    except ImportError:
        return None
    return tqdm(total=total, initial=done, unit="step", dynamic_ncols=True)


def say(text: str, bar: Optional[Any] = None) -> None:
    """A line on stdout, above the bar where there is one."""
    if bar is None:
        print(text, flush=True)
    else:
        bar.write(text)


def draw_curve(points: Sequence[Tuple[float, float]], path: str, title: str) -> None:
    """`caption_loss` over steps as PNG with the three bands (Pillow only)."""
    from PIL import Image, ImageDraw

    width, height, left, top, right, bottom = 900, 480, 60, 40, 20, 40
    highest = max(8.0, *(y for _x, y in points if math.isfinite(y)))
    last = max(1.0, *(x for x, _y in points))

    def place(x: float, y: float) -> Tuple[float, float]:
        return (
            left + (width - left - right) * x / last,
            height - bottom - (height - top - bottom) * y / highest,
        )

    image = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(image)
    for (low, high, meaning), colour in zip(BANDS, ("#fbe3e0", "#fdf3d0", "#dff2df")):
        pen.rectangle([*place(0, high), *place(last, low)], fill=colour)
        pen.text((left + 260, place(0, high)[1] + 4), f"{low:g}-{high:g} {meaning}", fill="#555555")
    for value in range(int(highest) + 1):
        pen.text((left - 24, place(0, value)[1] - 6), str(value), fill="black")
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        pen.text(
            (place(last * share, 0)[0] - 10, height - bottom + 8),
            f"{last * share:.0f}",
            fill="black",
        )
    pen.rectangle([*place(0, highest), *place(last, 0)], outline="black")
    pen.line([place(x, y) for x, y in points if math.isfinite(y)], fill="#1f4e9c", width=2)
    pen.text((left, 14), title, fill="black")
    image.save(path + ".tmp.png")
    os.replace(path + ".tmp.png", path)
