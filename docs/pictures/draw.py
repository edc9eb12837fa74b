#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["pyte>=0.8", "rich>=13.9"]
# ///
"""Draw a recorded terminal as SVG: what was on it, cut to an excerpt.

    script -q -O run.txt -c "stty cols 100; .venv/bin/invoke build-mamba --arch 9.0"
    docs/pictures/draw.py run.txt docs/pictures/build-mamba.svg --command "invoke build-mamba --arch 9.0" \
        --cut "^create-venv:" --frame "2:59 min so far" --from "^install-wheels: causal"

Shown are the lines up to `--cut`, the screen's last lines at the moment of each `--frame`, and the lines from the
first that `--from` fits. A folder given as `--home` is left out of paths.
"""

from __future__ import annotations

import argparse
import io
import re
from pathlib import Path

import pyte
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

COLUMNS = 100
LIVE = 3  # lines of the display that a build keeps up to date
THEME = TerminalTheme(
    (30, 33, 39), (214, 219, 228), [(0, 0, 0)] * 8, [(214, 219, 228)] * 8
)  # light on dark by itself: the page around it may be either
# rich's own frame without its web font: a picture asks nobody for anything
FRAME = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def screen_lines(data: str) -> list[str]:
    """Every line that was on the terminal, those that were drawn over as they were last."""
    screen = pyte.HistoryScreen(400, 4000, history=1)
    pyte.Stream(screen).feed(data)
    return [line.rstrip() for line in screen.display[: screen.cursor.y + 1]]


def excerpt(data: str, cut: str, frames: list[str], start: str) -> list[str]:
    """The lines to be shown, with a line of dots where some were left out."""
    lines = screen_lines(data)
    shown = lines[: _first(lines, cut)]
    for frame in frames:
        moment = re.search(frame + r".*?\r\x1b", data, flags=re.DOTALL)
        if moment is None:
            raise SystemExit(f"`{frame}` was never on the screen")
        shown += ["⋮", *screen_lines(data[: moment.end() - 2])[-LIVE:]]
    return [*shown, "⋮", *lines[_first(lines, start) :]]


def _first(lines: list[str], pattern: str) -> int:
    return next(number for number, line in enumerate(lines) if re.search(pattern, line))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("recording", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--command", required=True)
    parser.add_argument("--cut", required=True)
    parser.add_argument("--frame", action="append", default=[])
    parser.add_argument("--from", dest="start", required=True)
    parser.add_argument("--home", default="")
    given = parser.parse_args()
    # bytes: the terminal's own line ends count; without the first line, which is script's own
    data = given.recording.read_bytes().decode().split("\n", 1)[1]
    data = data.rpartition("\nScript done")[0] or data
    if given.home:
        data = data.replace(given.home.rstrip("/") + "/", "")
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    for line in [f"$ {given.command}", *excerpt(data, given.cut, given.frame, given.start)]:
        console.print(Text(line), soft_wrap=False)
    svg = console.export_svg(title=given.command, theme=THEME, code_format=FRAME, unique_id="t")
    given.picture.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
