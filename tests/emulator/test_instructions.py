"""Each instruction against results that were worked out by hand from the manual: a row per thread, `a b c = d`.

The tables are in `cases/`: an instruction, the types of its result and its sources (where they are not all the last
type that the instruction names), and the rows. `nan` as a result is any pattern that is not a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ptx_lanes import bits_of, execute, is_nan, pattern

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))


def tables() -> Iterator[Any]:
    for path in CASES:
        for number, table in enumerate(yaml.safe_load(path.read_text(encoding="utf-8"))):
            yield pytest.param(table, id=f"{path.stem}-{number}-{table['do'].split()[0]}")


@pytest.mark.parametrize("table", list(tables()))
def test_instruction(table: dict[str, Any]) -> None:
    opcode = table["do"].split()[0]
    names = [name for name in "abce" if "{" + name + "}" in table["do"]]
    numbered = [part for part in opcode.split(".") if part[-1].isdigit()]
    default = numbered[-1] if numbered else "pred"
    types = table.get("types", " ".join([default] * (len(names) + 1))).split()
    rows = [row.split("=") for row in table["rows"]]
    sources = [
        [pattern(text, kind) for text, kind in zip(left.split(), types[1:], strict=True)]
        for left, _ in rows
    ]
    found = execute(table["do"], types, sources, table.get("before", ""))
    for (left, right), bits in zip(rows, found, strict=True):
        wanted = right.strip()
        if wanted == "nan":
            assert is_nan(bits, types[0]), f"{table['do']}: {left}= {bits:#x}, not a nan"
        else:
            width = bits_of(types[0]) // 4 + 2
            assert f"{bits:#0{width}x}" == f"{pattern(wanted, types[0]):#0{width}x}", (
                f"{table['do']}: {left}"
            )
