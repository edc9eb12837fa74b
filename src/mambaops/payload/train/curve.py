"""The run as a picture: losses over steps, on a linear and on a logarithmic axis."""

from __future__ import annotations

import math
import os
import sys
from importlib.util import find_spec
from typing import Any

from mambaops.payload.train.trainlog import read_epochs, read_log
from mambaops.payload.train.watch import BANDS

_COLOURS = ("#fbe3e0", "#fdf3d0", "#dff2df")


def draw_curve(log: str, path: str, title: str) -> str:
    """Draw the log's curve to a PNG; returns "" or why there is none.

    The file that was there stays until the new one is whole.
    """
    try:
        return _drawn(log, path, title)
    except ImportError as error:
        if find_spec("matplotlib") is None:
            return f"no curve is drawn: `{sys.executable} -m pip install matplotlib`"
        return f"no curve is drawn: matplotlib cannot be loaded: {error}"
    except MemoryError:
        return "no curve is drawn: out of memory"


def _drawn(log: str, path: str, title: str) -> str:
    """ "" or why the file could not be written."""
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(11, 4.6), layout="constrained")
    linear, logarithmic = figure.subplots(1, 2)
    _bands(linear)
    for axes in (linear, logarithmic):
        _lines(axes, log)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
    linear.set_ylabel("loss per answer token (nats)")
    linear.set_ylim(bottom=0)
    logarithmic.set_yscale("log")
    logarithmic.set_title("logarithmic")
    linear.set_title(title)
    linear.legend(fontsize="small")
    temporary = path + ".tmp.png"
    try:
        figure.savefig(temporary, dpi=110)
        os.replace(temporary, path)
    except OSError as error:
        if os.path.exists(temporary):
            os.remove(temporary)
        return f"the curve could not be drawn: {path}: {error.strerror}"
    return ""


def _bands(axes: Any) -> None:
    for (low, high, meaning), colour in zip(BANDS, _COLOURS):
        axes.axhspan(low, high, color=colour, zorder=0)
        axes.annotate(
            f"{low:g}-{high:g} {meaning}",
            (0.98, low + 0.1),
            xycoords=("axes fraction", "data"),
            ha="right",
            fontsize="x-small",
            color="#555555",
        )


def _lines(axes: Any, log: str) -> None:
    steps = [(row[0], row[2]) for row in read_log(log) if math.isfinite(row[2])]
    axes.plot(
        *zip(*steps) if steps else ([], []), ".-", ms=3, lw=1, label="training", color="#1f4e9c"
    )
    epochs = read_epochs(log)
    for name, label, style in (
        ("val_loss", "validation", "s-"),
        ("shuffled_loss", "with other rows' pictures", "^--"),
    ):
        points = [(row["step"], row[name]) for row in epochs if math.isfinite(row[name])]
        if points:
            axes.plot(*zip(*points), style, ms=4, lw=1.2, label=label)
