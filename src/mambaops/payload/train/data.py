"""The caption table: a CSV of image paths and answers, checked in full before the first step."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from typing import Any, Dict, List, Sequence, Tuple

import torch
from torch import Tensor

from mambaops.payload import paths
from mambaops.payload.train.errors import InputError
from mambaops.payload.train.images import read_image

ANSWERS = ("answer", "caption", "report", "text")
IMAGES = ("image_path", "image", "image_id", "序号")
IGNORED = -100


@dataclass(frozen=True)
class Row:
    """One line of the table, its paths as this system spells them."""

    image: str
    answer: str
    question: str
    mask: str = ""
    line: int = 0


def read_text(path: str) -> Tuple[str, str]:
    """The file's text and its encoding: UTF-8 (with or without a mark) or GB18030 (GBK is part of it)."""
    with open(path, "rb") as file:
        raw = file.read()
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return raw.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    raise InputError(f"{path} is neither UTF-8 nor GB18030", hint="save it as `CSV UTF-8`")


def read_rows(path: str, question: str, image_root: str = "") -> List[Row]:
    """The table's rows; columns `image_path`, one of answer|caption|report|text, and optional
    `question`, `mask_path`.

    Raises:
        InputError: file or columns missing, an answer empty, nothing in it.
    """
    if not os.path.isfile(path):
        raise InputError(
            f"caption table {path} is not there ({paths.why_missing(path)})",
            hint="give --csv FILE, or set caption_csv_train in config/paths.yaml",
        )
    text, encoding = read_text(path)
    if encoding != "utf-8-sig":
        print(f"{path}: read as {encoding} (it is no UTF-8)")
    reader = csv.DictReader(text.splitlines(keepends=True))
    fields = [(name or "").strip().lower() for name in reader.fieldnames or []]
    reader.fieldnames = fields
    image, answer = _column(fields, IMAGES, path), _column(fields, ANSWERS, path)
    base, mapping = image_root or os.path.dirname(os.path.abspath(path)), paths.read_mapping()
    rows = []
    for record in reader:
        cells = {
            key: (value or "").strip() for key, value in record.items() if isinstance(value, str)
        }
        if not cells.get(image) or not cells.get(answer):
            raise InputError(f"{path} line {reader.line_num}: {image} or {answer} is empty")
        mask = cells.get("mask_path", "")
        rows.append(
            Row(
                image=paths.resolve(cells[image], mapping, base),
                answer=cells[answer],
                question=cells.get("question") or question,
                mask=paths.resolve(mask, mapping, base) if mask else "",
                line=reader.line_num,
            )
        )
    if not rows:
        raise InputError(f"{path} has a header and no rows")
    return rows


def _column(fields: Sequence[str], wanted: Sequence[str], path: str) -> str:
    for name in wanted:
        if name in fields:
            return name
    raise InputError(
        f"{path} has no column {' or '.join(wanted)}; its columns are: {', '.join(fields) or 'none'}",
        hint="name the image column `image_path` and the text column `answer`",
    )


def without_missing(rows: List[Row], source: str, allowed: float) -> List[Row]:
    """Rows whose image exists; more than the share `allowed` missing is an error.

    Raises:
        InputError: too many are missing; the first five are named with the reason.
    """
    there = [row for row in rows if os.path.isfile(row.image)]
    missing = [row for row in rows if not os.path.isfile(row.image)]
    if not missing:
        return there
    named = "\n".join(
        f"  line {r.line}: {r.image} ({paths.why_missing(r.image)})" for r in missing[:5]
    )
    text = f"{source}: {len(missing)} of {len(rows)} images are not there\n{named}"
    if len(missing) > allowed * len(rows) or not there:
        raise InputError(
            text, hint="correct the paths; --max_missing SHARE lets a share of them be missing"
        )
    print(f"warning: {text}\n  these rows are left out (--max_missing {allowed:g})")
    return there


@dataclass(frozen=True)
class Encoded:
    """Token ids of one row: the prompt (question and newline), and the answer with its end mark."""

    prompt: List[int]
    answer: List[int]
    cut: int = 0  # answer tokens that max_text_len took away


def encode(tokenizer: Any, row: Row, max_text_len: int) -> Encoded:
    """Prompt and answer tokenised apart, so that no merge crosses the border between them.

    Raises:
        InputError: the prompt alone fills max_text_len, so nothing of the answer is left to learn.
    """
    prompt = tokenizer(row.question + "\n", add_special_tokens=False)["input_ids"]
    answer = tokenizer(row.answer, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    room = max_text_len - len(prompt)
    if room <= 0:
        raise InputError(
            f"line {row.line}: the question has {len(prompt)} tokens and max_text_len is "
            f"{max_text_len}: the answer would be cut to nothing",
            hint=f"raise --max_text_len above {len(prompt) + len(answer)}, or shorten the question",
        )
    return Encoded(prompt=prompt, answer=answer[:room], cut=max(0, len(answer) - room))


class CaptionDataset(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Rows with their tokens; the picture is read when an item is asked for."""

    def __init__(
        self, rows: List[Row], tokenizer: Any, max_text_len: int, image_size: int, channels: int
    ) -> None:
        self.rows, self.image_size, self.channels = rows, image_size, channels
        self.encoded = [encode(tokenizer, row, max_text_len) for row in rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Dict[str, Any]:
        return dict(self.text(index), image=self.image(index))

    def text(self, index: int) -> Dict[str, Any]:
        tokens = self.encoded[index]
        return {"prompt": tokens.prompt, "answer": tokens.answer}

    def image(self, index: int) -> Tensor:
        row = self.rows[index]
        return read_image(row.image, self.image_size, self.channels, row.mask)

    def answer(self, index: int) -> str:
        return self.rows[index].answer

    def lengths(self) -> List[int]:
        """Text tokens of every row, as trained on."""
        return [len(item.prompt) + len(item.answer) for item in self.encoded]

    def longest(self) -> int:
        """Index of the row with the most tokens."""
        lengths = self.lengths()
        return max(range(len(lengths)), key=lengths.__getitem__)


def collate(items: List[Dict[str, Any]]) -> Dict[str, Tensor]:
    """Items to tensors, padded on the RIGHT (a causal model then never sees the padding).

    Returns:
        images float32 [B, C, S, S]; ids int64 [B, L]; labels int64 [B, L], -100 outside the answer.
    """
    width = max(len(item["prompt"]) + len(item["answer"]) for item in items)
    ids = torch.zeros(len(items), width, dtype=torch.long)
    labels = torch.full((len(items), width), IGNORED, dtype=torch.long)
    for number, item in enumerate(items):
        begin, end = len(item["prompt"]), len(item["prompt"]) + len(item["answer"])
        ids[number, :end] = torch.tensor(item["prompt"] + item["answer"])
        labels[number, begin:end] = torch.tensor(item["answer"])
    return {"images": torch.stack([item["image"] for item in items]), "ids": ids, "labels": labels}


def length_report(dataset: CaptionDataset, samples: int = 0) -> str:
    """Median, 90 %, 95 % and maximum of the text length, and how many answers were cut."""
    lengths = sorted(dataset.lengths()[: samples or None])
    cut = sum(1 for item in dataset.encoded[: samples or None] if item.cut)

    def at(share: float) -> int:
        return lengths[min(len(lengths) - 1, int(share * len(lengths)))]

    text = (
        f"text tokens: p50 {at(0.5)}, p90 {at(0.9)}, p95 {at(0.95)}, max {lengths[-1]}; "
        f"{cut} of {len(lengths)} answers cut"
    )
    if cut > 0.2 * len(lengths):
        text += " - more than a fifth: raise --max_text_len"
    return text
