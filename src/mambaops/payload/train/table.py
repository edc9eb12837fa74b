"""The caption table: a CSV of image paths and answers, looked through once and then read row by row.

A million rows take 16 MB: memory holds each row's place in the file, not its text.
"""

from __future__ import annotations

import csv
import io
import os
import zlib
from array import array
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Dict, Iterable, Iterator, List, Sequence, Tuple

from mambaops.payload import paths
from mambaops.payload.train.errors import InputError

ANSWERS = ("answer", "caption", "report", "text")
IMAGES = ("image_path", "image", "image_id", "序号")
# Up to WHOLE rows all pictures and tokens are looked at before the start, of a larger table SAMPLE rows.
WHOLE, SAMPLE = 20_000, 2_000


@dataclass(frozen=True)
class Row:
    """One line of the table, its paths as this system spells them."""

    image: str
    answer: str
    question: str
    mask: str = ""
    line: int = 0


@dataclass(frozen=True)
class Table:
    """The rows of one file, each read from it when it is asked for (also by a loader's workers).

    Attributes:
        columns: header's names, lower case. places, sizes: first byte and bytes of each row.
        lines: line of the file that each row ends on. checksum: of pictures' names, questions and answers.
    """

    path: str
    encoding: str
    columns: Tuple[str, ...]
    question: str
    base: str
    mapping: Any
    places: Sequence[int]
    sizes: Sequence[int]
    lines: Sequence[int]
    checksum: int

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Row:
        file = _opened(self.path, os.getpid())
        file.seek(self.places[index])
        raw = file.read(self.sizes[index])
        values = next(csv.reader(io.StringIO(raw.decode(self.encoding), newline="")), [])
        cells = {name: value.strip() for name, value in zip(self.columns, values)}
        image, answer = _column(self.columns, IMAGES), _column(self.columns, ANSWERS)
        if not cells.get(image) or not cells.get(answer):
            raise InputError(
                f"{self.path} was changed while it was read (line {self.lines[index]})"
            )
        mask = cells.get("mask_path", "")
        return Row(
            image=paths.resolve(cells[image], self.mapping, self.base),
            answer=cells[answer],
            question=cells.get("question") or self.question,
            mask=paths.resolve(mask, self.mapping, self.base) if mask else "",
            line=self.lines[index],
        )

    def __iter__(self) -> Iterator[Row]:
        return (self[index] for index in range(len(self)))

    def pick(self, indices: Iterable[int]) -> Table:
        """The table with these rows only."""
        chosen = array("Q", indices)

        def kept(kind: str, values: Sequence[int]) -> Any:
            return array(kind, (values[k] for k in chosen))

        return replace(
            self,
            places=kept("Q", self.places),
            sizes=kept("I", self.sizes),
            lines=kept("I", self.lines),
        )

    def digest(self) -> str:
        """What the table says, wherever it and its pictures lie."""
        return f"{len(self)} rows, checksum {self.checksum:08x}"


@lru_cache(maxsize=8)
def _opened(path: str, _process: int) -> Any:
    """The file, opened once in each process: a forked one would share the place that is read."""
    return open(path, "rb", buffering=0)


def looked_at(length: int) -> List[int]:
    """Indices of the rows that are looked at before the start."""
    return spread_out(length, length if length <= WHOLE else SAMPLE)


def spread_out(length: int, count: int) -> List[int]:
    """Up to `count` different indices over a whole table."""
    count = min(count, length)
    return sorted({k * (length - 1) // max(1, count - 1) for k in range(count)})


def read_table(path: str, question: str, image_root: str = "") -> Table:
    """Look through a table with columns `image_path`, one of answer|caption|report|text, and optional
    `question`, `mask_path`.

    Raises:
        InputError: file or columns missing, an answer empty, nothing in it.
    """
    if not os.path.isfile(path):
        raise InputError(
            f"caption table {path} is not there ({paths.why_missing(path)})",
            hint="give --csv FILE, or set caption_csv_train in config/paths.yaml",
        )
    with open(path, "rb") as file:
        begin = 3 if file.read(3) == b"\xef\xbb\xbf" else 0
    for encoding in ("utf-8", "gb18030"):  # GBK is part of it
        try:
            found = _looked_through(path, encoding, begin, question, image_root)
        except UnicodeDecodeError:
            continue
        except csv.Error as error:
            raise InputError(f"{path} is no CSV: {error}") from error
        if encoding != "utf-8":
            print(f"{path}: read as {encoding} (it is no UTF-8)")
        return found
    raise InputError(f"{path} is neither UTF-8 nor GB18030", hint="save it as `CSV UTF-8`")


class _Lines:
    """The lines of a file as text, and the byte after the last one that was handed out."""

    def __init__(self, path: str, encoding: str, begin: int) -> None:
        self.path, self.encoding, self.at = path, encoding, begin

    def __iter__(self) -> Iterator[str]:
        with open(self.path, "rb") as file:
            file.seek(self.at)
            for line in file:
                if b"\r" in line and b"\r" in line[:-2]:  # old Macs end lines by \r alone
                    for piece in line.splitlines(keepends=True):
                        self.at += len(piece)
                        yield piece.decode(self.encoding)
                else:
                    self.at += len(line)
                    yield line.decode(self.encoding)


def _looked_through(path: str, encoding: str, begin: int, question: str, image_root: str) -> Table:
    lines = _Lines(path, encoding, begin)
    reader = csv.reader(lines)
    columns = tuple(name.strip().lower() for name in next(reader, []))
    image = columns.index(_column(columns, IMAGES, path))
    answer = columns.index(_column(columns, ANSWERS, path))
    asked = columns.index("question") if "question" in columns else len(columns)
    least, before, checksum = max(image, answer), lines.at, 0
    places, sizes, ends = array("Q"), array("I"), array("I")
    for cells in reader:
        if cells:
            full = len(cells) > least
            name, text = (cells[image].strip(), cells[answer].strip()) if full else ("", "")
            if not name or not text:
                raise InputError(
                    f"{path} line {reader.line_num}: {columns[image]} or {columns[answer]} is empty"
                )
            own = cells[asked].strip() if asked < len(cells) else ""
            picture = name[max(name.rfind("/"), name.rfind("\\")) + 1 :]
            said = f"{picture}\0{own or question}\0{text}"
            checksum = zlib.crc32(said.encode(), checksum)
            places.append(before)
            sizes.append(lines.at - before)
            ends.append(reader.line_num)
        before = lines.at
    if not places:
        raise InputError(f"{path} has a header and no rows")
    base, mapping = image_root or os.path.dirname(os.path.abspath(path)), paths.read_mapping()
    return Table(
        path, encoding, columns, question, base, mapping, places, sizes, ends, checksum
    )  # fmt: skip


def _column(columns: Sequence[str], wanted: Sequence[str], path: str = "") -> str:
    for name in wanted:
        if name in columns:
            return name
    raise InputError(
        f"{path} has no column {' or '.join(wanted)}; its columns are: {', '.join(columns) or 'none'}",
        hint="name the image column `image_path` and the text column `answer`",
    )


def without_missing(table: Table, allowed: float, *, everything: bool = False) -> Table:
    """Rows whose image exists; more than the share `allowed` missing is an error.

    Of a large table a sample is looked at first, and all of it where one is missing or `everything` is wanted.

    Raises:
        InputError: too many are missing; the first five are named with the reason.
    """
    sample = looked_at(len(table))
    partly = not everything and len(sample) < len(table)
    if partly and all(os.path.isfile(table[index].image) for index in sample):
        print(
            f"{table.path}: {len(sample)} of {len(table)} pictures were looked for, all are there"
        )
        return table
    missing: Dict[int, Row] = {}
    for index in range(len(table)):
        row = table[index]
        if not os.path.isfile(row.image):
            missing[index] = row
    if not missing:
        return table
    named = "\n".join(
        f"  line {r.line}: {r.image} ({paths.why_missing(r.image)})"
        for r in list(missing.values())[:5]
    )
    text = f"{table.path}: {len(missing)} of {len(table)} images are not there\n{named}"
    if len(missing) > allowed * len(table) or len(missing) == len(table):
        raise InputError(
            text, hint="correct the paths; --max_missing SHARE lets a share of them be missing"
        )
    print(f"warning: {text}\n  these rows are left out (--max_missing {allowed:g})")
    return table.pick(index for index in range(len(table)) if index not in missing)
