"""Command lines as people wrote them down elsewhere are understood as they stand there."""

from __future__ import annotations

import pytest

from mambaops.cli.aliases import spelled


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (
            ["m", "run-graph-mamba", "--data_dir", "a_b"],
            ["m", "run-graph-mamba", "--data-dir", "a_b"],
        ),
        (["m", "x", "--batch_size=2_0"], ["m", "x", "--batch-size=2_0"]),
        (["m", "x", "--", "--batch_size", "1"], ["m", "x", "--", "--batch_size", "1"]),
        (
            ["m", "x", "--override", "gt.layers", "10", "--override", "a.b=1", "--wandb", "False"],
            ["m", "x", "--override", "gt.layers=10", "--override", "a.b=1", "--wandb", "False"],
        ),
        (
            ["m", "x", "--override", "a", "1", "b", "2", "--json"],
            ["m", "x", "--override", "a=1", "--override", "b=2", "--json"],
        ),
        (["m", "x", "--override", "a"], ["m", "x", "--override", "a"]),
        (["m"], ["m"]),
    ],
)
def test_underscores_and_separate_values_are_understood(
    given: list[str], wanted: list[str]
) -> None:
    assert spelled(given) == wanted
