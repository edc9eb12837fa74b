"""Generated pictures with Chinese sentences, split so that what is tested was never trained on.

A picture shows one to four equal shapes of one colour in one place. Each combination of shape, colour,
place and number belongs to exactly one of train, val and test; every PAIR of attribute values occurs in
training. So a right sentence about a test picture was put together, not remembered.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import random
import sys
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Set, Tuple

from mambaops.payload.train.errors import guarded

SHAPES = ("圆形", "圆环", "十字", "横条", "竖条")
COLOURS: Dict[str, Tuple[int, int, int]] = {
    "红色": (225, 45, 45),
    "绿色": (50, 190, 70),
    "蓝色": (60, 90, 240),
    "黄色": (235, 220, 50),
    "紫色": (170, 60, 200),
    "白色": (240, 240, 240),
}
PLACES: Dict[str, Tuple[int, int]] = {
    "左上方": (0, 0),
    "右上方": (1, 0),
    "左下方": (0, 1),
    "右下方": (1, 1),
}
COUNTS = ("一", "两", "三", "四")
SIDE = 64
MARK = ".mambaops-demo"  # the command that starts this looks for it before it fills a folder again
QUESTION = "描述图片："


@dataclass(frozen=True)
class Scene:
    """What a picture shows."""

    shape: str
    colour: str
    place: str
    count: str

    @property
    def sentence(self) -> str:
        return f"{self.place}有{self.count}个{self.colour}的{self.shape}。"


def all_scenes() -> List[Scene]:
    return [Scene(*values) for values in itertools.product(SHAPES, COLOURS, PLACES, COUNTS)]


def _pairs(scene: Scene) -> Iterator[Tuple[str, str]]:
    return itertools.combinations((scene.shape, scene.colour, scene.place, scene.count), 2)


def split_scenes(seed: int, share: float = 0.1) -> Dict[str, List[Scene]]:
    """Combinations for train, val and test: disjoint, and training keeps every pair of values.

    `share` of all go to test, half as many to val.
    """
    scenes = all_scenes()
    random.Random(seed).shuffle(scenes)
    size = int(share * len(scenes))
    parts = {"test": scenes[:size], "val": scenes[size : size + size // 2]}
    parts["train"] = scenes[size + size // 2 :]
    seen: Set[Tuple[str, str]] = {pair for scene in parts["train"] for pair in _pairs(scene)}
    assert all(pair in seen for scene in scenes for pair in _pairs(scene)), (
        "a pair is never trained"
    )
    return parts


def draw(scene: Scene, rng: random.Random) -> Any:
    """The picture, SIDE pixels square; sizes, places, brightness and background vary."""
    from PIL import Image, ImageDraw

    big = 4  # drawn large and shrunk: smooth edges
    shade = rng.randint(0, 50)
    image = Image.new("RGB", (SIDE * big, SIDE * big), (shade, shade, shade))
    pen = ImageDraw.Draw(image)
    left, top = (value * SIDE // 2 for value in PLACES[scene.place])
    cells = rng.sample([(0, 0), (1, 0), (0, 1), (1, 1)], COUNTS.index(scene.count) + 1)
    light = rng.uniform(0.85, 1.05)
    colour = tuple(min(255, int(value * light)) for value in COLOURS[scene.colour])
    for column, row in cells:
        x = left + 8.5 + 15 * column + rng.uniform(-1, 1)
        y = top + 8.5 + 15 * row + rng.uniform(-1, 1)
        _shape(pen, scene.shape, x * big, y * big, rng.uniform(5.2, 6.6) * big, colour)
    return image.resize((SIDE, SIDE), Image.Resampling.BOX)


def _shape(
    pen: Any, shape: str, x: float, y: float, radius: float, colour: Tuple[int, ...]
) -> None:
    box = [x - radius, y - radius, x + radius, y + radius]
    if shape == "圆形":
        pen.ellipse(box, fill=colour)
    elif shape == "圆环":
        pen.ellipse(box, outline=colour, width=round(radius * 0.35))
    thin = radius * 0.35
    if shape in ("横条", "十字"):
        pen.rectangle([x - radius, y - thin, x + radius, y + thin], fill=colour)
    if shape in ("竖条", "十字"):
        pen.rectangle([x - thin, y - radius, x + thin, y + radius], fill=colour)


def write_set(folder: str, count: int, seed: int = 0, windows_root: str = "") -> Dict[str, str]:
    """Write images and `caption_{train,val,test}.csv`; returns the tables' paths.

    Args:
        count: pictures for training; a tenth of that each for val and test.
        windows_root: if given (`D:\\mamba\\demo`), the tables name the pictures below it.
    """
    tables = {}
    for number, (part, scenes) in enumerate(sorted(split_scenes(seed).items())):
        rng = random.Random(seed * 1000 + number)
        os.makedirs(os.path.join(folder, part), exist_ok=True)
        total = count if part == "train" else max(1, count // 10)
        rows = [_write_one(folder, part, k, scenes[k % len(scenes)], rng) for k in range(total)]
        tables[part] = os.path.join(folder, f"caption_{part}.csv")
        _write_table(tables[part], rows, windows_root)
    return tables


def _write_one(
    folder: str, part: str, number: int, scene: Scene, rng: random.Random
) -> Tuple[str, str]:
    name = f"{part}/{number:05d}.png"
    draw(scene, rng).save(os.path.join(folder, name))
    return name, scene.sentence


def _write_table(path: str, rows: List[Tuple[str, str]], windows_root: str) -> None:
    root = windows_root.rstrip("\\")
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_path", "question", "answer"])
        for name, sentence in rows:
            where = f"{root}\\" + name.replace("/", "\\") if root else name
            writer.writerow([where, QUESTION, sentence])


def main() -> Dict[str, Any]:
    """`python -m mambaops.payload.train.demo_data -o DIR`."""
    from mambaops.payload import paths

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", default="demo_data")
    parser.add_argument("--count", type=int, default=4000, help="pictures for training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--windows_paths", action="store_true", help="name the pictures as Windows does"
    )
    flags = parser.parse_args()
    os.makedirs(flags.output, exist_ok=True)
    with open(os.path.join(flags.output, MARK), "w", encoding="utf-8") as file:
        file.write("written by mambaops demo-data, which may write it again\n")
    root = ""
    if flags.windows_paths:
        root = paths.to_windows(os.path.abspath(flags.output), paths.read_mapping())
        if not paths.is_windows_path(root):
            root = "D:" + root.replace("/", "\\")
            print(f"this folder has no Windows name; the tables say {root}", file=sys.stderr)
    tables = write_set(flags.output, flags.count, flags.seed, root)
    for table in tables.values():
        print(table)
    return {"folder": os.path.abspath(flags.output), "tables": tables}


if __name__ == "__main__":
    sys.exit(guarded(main))
