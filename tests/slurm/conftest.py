"""One real Slurm for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from one_slurm import NoSlurm, slurm


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables that lead to it; skipped with the reason where there can be none."""
    try:
        with slurm(tmp_path_factory.mktemp("slurm")) as variables:
            yield variables
    except NoSlurm as reason:
        pytest.skip(str(reason))


@pytest.fixture
def at_cluster(cluster: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """This process is on the login node; a folder that every node sees."""
    for name, value in cluster.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("mambaops.slurm.array.PAUSE", 0.2)
    return tmp_path
