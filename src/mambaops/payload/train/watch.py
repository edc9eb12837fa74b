"""Watching a run: its lines, the bands of `caption_loss`, and the verdicts."""

from __future__ import annotations

import math
import sys
from typing import Any, Dict, Optional, Sequence, Tuple

from mambaops.payload.train.validation import Validation

# The stages that `caption_loss` goes through: (from, to, meaning).
BANDS: Tuple[Tuple[float, float, str], ...] = (
    (6.0, 8.0, "start: nothing is aligned yet"),
    (3.0, 4.0, "learning: pictures and text begin to match"),
    (0.0, 2.0, "target: reports read like reports"),
)
TARGET, STUCK, STUCK_EPOCHS = 2.0, 4.0, 5


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


def epoch_verdict(
    epoch: int, losses: Sequence[float], measured: Optional[Validation] = None
) -> str:
    """Advice after an epoch; `losses` are the epochs' means so far. No gap, no success."""
    loss = losses[-1]
    if loss < TARGET:
        if measured is not None and measured.sees_picture is False:
            return _IGNORED.format(TARGET=TARGET, own=measured.own, shuffled=measured.shuffled)
        first = next(number for number, value in enumerate(losses, 1) if value < TARGET)
        text = f"below {TARGET} since epoch {first}: {BANDS[2][2]}"
        if measured is None or measured.sees_picture is None:
            text += " (whether they follow the picture was not measured: no two answers differ)"
        return text
    if epoch >= STUCK_EPOCHS and loss > STUCK:
        return (
            f"still above {STUCK} after {epoch} epochs: training does not take. Check the paths and the "
            "CSV (does each answer belong to its image?), then --bridge_lr and --lr, then --from_scratch."
        )
    if len(losses) >= 3 and loss > losses[-3] * 1.05:
        return "rising for two epochs: lower --lr and --bridge_lr"
    return ""


_IGNORED = (
    "below {TARGET}, but THE PICTURE IS IGNORED: with other rows' pictures the loss is {shuffled:.4f} "
    "against {own:.4f}. The text is learned by heart. In this order: raise --bridge_lr (times 3), train "
    "longer, give more rows with different answers, then --train_vision full and --train_llm lora."
)


def gap_line(measured: Validation) -> str:
    """e.g. `pictures count: loss 0.31 with their own, 1.90 with other rows' (gap 1.59 ± 0.08, 64 rows)`"""
    if not measured.rows:
        return ""
    return (
        f"{'pictures count' if measured.sees_picture else 'pictures do not count yet'}: loss "
        f"{measured.own:.4f} with their own, {measured.shuffled:.4f} with other rows' "
        f"(gap {measured.gap:.4f} ± {measured.error:.4f}, {measured.rows} rows)"
    )


def line(record: Dict[str, float], tokens_per_s: float) -> str:
    """e.g. `epoch 1 step 20 caption_loss 6.9312 lr 2.0e-05 tok/s 812 mem 11.2G`"""
    text = (
        f"epoch {record['epoch']:.0f} step {record['step']:.0f} caption_loss {record['loss']:.4f} "
        f"lr {record['lr']:.1e} tok/s {tokens_per_s:.0f}"
    )
    if record["memory_bytes"]:
        text += f" mem {record['memory_bytes'] / 2**30:.1f}G"
    return text + (f" skipped {record['skipped']:.0f}" if record["skipped"] else "")


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
