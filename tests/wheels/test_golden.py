"""What every machine comes to among all planned wheels, held against its golden file.

After a change that is meant: `python -m tests.wheels.refresh`, and read the difference.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .machines import machines
from .refresh import GOLDEN, text

ALL = machines()


@pytest.mark.parametrize("name", sorted(ALL))
def test_choices(name: str, tmp_path: Path) -> None:
    expected = (GOLDEN / f"{name}.yaml").read_text(encoding="utf-8")
    assert text(ALL[name], tmp_path / "no-store") == expected, "python -m tests.wheels.refresh"


def test_every_golden_file_has_its_machine() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(ALL)
