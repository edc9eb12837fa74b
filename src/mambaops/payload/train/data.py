"""Rows to tensors: tokens of question and answer, the picture, batches."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any, Dict, List

import torch
from torch import Tensor

from mambaops.payload.train.errors import InputError
from mambaops.payload.train.images import read_image
from mambaops.payload.train.table import Row, Table, looked_at

IGNORED = -100


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
    """Rows of a table; text is tokenised and the picture read when an item is asked for, in the workers."""

    def __init__(
        self, rows: Table, tokenizer: Any, max_text_len: int, image_size: int, channels: int
    ) -> None:
        self.rows, self.image_size, self.channels = rows, image_size, channels
        self.tokenizer, self.max_text_len = tokenizer, max_text_len

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Dict[str, Any]:
        row = self.rows[index]
        return dict(self._text(row), image=self._image(row))

    def text(self, index: int) -> Dict[str, Any]:
        return self._text(self.rows[index])

    def image(self, index: int) -> Tensor:
        return self._image(self.rows[index])

    def answer(self, index: int) -> str:
        return self.rows[index].answer

    def _text(self, row: Row) -> Dict[str, Any]:
        tokens = encode(self.tokenizer, row, self.max_text_len)
        return {"prompt": tokens.prompt, "answer": tokens.answer}

    def _image(self, row: Row) -> Tensor:
        return read_image(row.image, self.image_size, self.channels, row.mask)

    def audit(self) -> Audit:
        """Tokenise every row, or of a large table a sample and the rows that are longest in the file.

        Raises:
            InputError: a prompt leaves no room for its answer.
        """
        chosen = looked_at(len(self))
        sizes = self.rows.sizes
        longest = heapq.nlargest(_LONG, range(len(self)), sizes.__getitem__)
        lengths, cut = {}, set()
        for index in {*chosen, *(longest if len(chosen) < len(self) else ())}:
            item = encode(self.tokenizer, self.rows[index], self.max_text_len)
            lengths[index] = len(item.prompt) + len(item.answer)
            if item.cut:
                cut.add(index)
        return Audit(
            lengths=[lengths[k] for k in chosen],
            cut=len(cut.intersection(chosen)),
            longest=max(lengths, key=lengths.__getitem__),
            rows=len(self),
        )


_LONG = 256  # rows, longest in bytes, among which a large table's longest is sought


@dataclass(frozen=True)
class Audit:
    """Text tokens of the rows that were looked at, as trained on; answers cut; index of the longest row."""

    lengths: List[int]
    cut: int
    longest: int
    rows: int

    def text(self, samples: int = 0) -> str:
        """Median, 90 %, 95 % and maximum of the text length, and how many answers were cut."""
        lengths = sorted(self.lengths[: samples or None])
        looked = len(self.lengths)

        def at(share: float) -> int:
            return lengths[min(len(lengths) - 1, int(share * len(lengths)))]

        found = (
            f"text tokens: p50 {at(0.5)}, p90 {at(0.9)}, p95 {at(0.95)}, max {lengths[-1]}; "
            f"{self.cut} of {looked} answers cut"
        )
        if looked < self.rows:
            found += f" (a sample of {self.rows} rows)"
        if self.cut > 0.2 * looked:
            found += " - more than a fifth: raise --max_text_len"
        return found


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
